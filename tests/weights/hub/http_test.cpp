#include "weights/hub/http.h"

#include <gtest/gtest.h>

#include "base/expect_error.h"
#include "base/files.h"
#include "base/hash.h"
#include "base/random.h"
#include "weights/hub/test_server.h"

namespace tigerbot {
namespace {

namespace fs = std::filesystem;
using testing::error_of;
using testing::ScratchFolder;
using testing::TestServer;

/// Retries without the waiting.
HttpOptions patient() { return {.headers = {}, .certificates = "", .first_delay = 0.001}; }

/// Bytes that do not repeat.
std::string some_bytes(std::size_t size, std::uint64_t seed) {
  std::string bytes(size, '\0');
  for (std::size_t k = 0; k < size; ++k)
    bytes[k] = static_cast<char>(random_below({seed, 0, k}, 256));
  return bytes;
}

struct Fetch {
  std::optional<HttpFailure> failure;
  std::uint64_t last_progress = 0;
};

Fetch fetch(const TestServer& server, const fs::path& to, const std::string& bytes) {
  Fetch result;
  result.failure = http_download(
      {server.url("file"), to, bytes.size(), {Checksum::Kind::kSha256, sha256_hex(bytes)}},
      patient(), [&](std::uint64_t there) { result.last_progress = there; });
  return result;
}

class Download : public ::testing::Test {
 protected:
  Download() { server_.put("file", bytes_); }

  void expect_fetched(const std::vector<std::string>& ranges) {
    const Fetch result = fetch(server_, folder_ / "f", bytes_);
    EXPECT_FALSE(result.failure) << result.failure->message;
    EXPECT_EQ(read_file(folder_ / "f"), bytes_);
    EXPECT_EQ(result.last_progress, bytes_.size());
    EXPECT_FALSE(fs::exists(folder_ / "f.partial"));
    std::vector<std::string> seen;
    for (const auto& line : server_.requests()) seen.push_back(line.substr(6, line.size() - 8));
    EXPECT_EQ(seen, ranges);
  }

  std::string bytes_ = some_bytes(300000, 1);
  TestServer server_;
  ScratchFolder folder_;
};

TEST_F(Download, FetchesAWholeFile) { expect_fetched({"-"}); }

TEST_F(Download, ContinuesWhatLiesThere) {
  write_file(folder_ / "f.partial", bytes_.substr(0, 100000));
  expect_fetched({"bytes=100000-"});
}

TEST_F(Download, ContinuesAfterCutConnections) {
  server_.set_faults({{"/file", {"cut:1000", "cut:70000", "cut:0"}}});
  expect_fetched({"-", "bytes=1000-", "bytes=71000-", "bytes=71000-"});
}

TEST_F(Download, ContinuesWhereACompleteAnswerWasTooShort) {
  server_.set_faults({{"/file", {"short:1000"}}});
  expect_fetched({"-", "bytes=1000-"});
}

TEST_F(Download, WaitsForAServerThatRecovers) {
  server_.set_faults({{"/file", {"status:500", "status:503", "status:429"}}});
  expect_fetched({"-", "-", "-", "-"});
}

TEST_F(Download, StartsAgainWhereTheServerKnowsNoRanges) {
  write_file(folder_ / "f.partial", bytes_.substr(0, 1000));
  server_.set_faults({{"/file", {"norange"}}});
  expect_fetched({"bytes=1000-"});
}

TEST_F(Download, StartsAgainWhereTheRangeIsWrong) {
  write_file(folder_ / "f.partial", bytes_.substr(0, 1000));
  server_.set_faults({{"/file", {"wrongrange"}}});
  expect_fetched({"bytes=1000-", "-"});
}

TEST_F(Download, StartsAgainWhereThePartIsOfAnotherFile) {
  write_file(folder_ / "f.partial", std::string(1000, 'x'));
  expect_fetched({"bytes=1000-", "-"});
}

TEST_F(Download, APartThatIsWholeNeedsNoRequest) {
  write_file(folder_ / "f.partial", bytes_);
  expect_fetched({});
}

TEST_F(Download, APartThatIsTooLongIsDropped) {
  write_file(folder_ / "f.partial", bytes_ + "x");
  expect_fetched({"-"});
}

TEST_F(Download, AWrongChecksumLeavesNothing) {
  const std::string message =
      error_of([&] { fetch(server_, folder_ / "f", std::string(bytes_.size(), 'x')); });
  EXPECT_NE(message.find("wrong checksum"), std::string::npos) << message;
  EXPECT_TRUE(fs::is_empty(folder_.path()));
}

TEST_F(Download, AFileLongerThanSaidLeavesNothing) {
  const std::string message =
      error_of([&] { fetch(server_, folder_ / "f", bytes_.substr(0, 1000)); });
  EXPECT_NE(message.find("longer than the 1000 bytes"), std::string::npos) << message;
  EXPECT_TRUE(fs::is_empty(folder_.path()));
}

TEST_F(Download, AFileShorterThanSaidIsAFailureAfterSomeTries) {
  const Fetch result = fetch(server_, folder_ / "f", bytes_ + "more");
  ASSERT_TRUE(result.failure);
  EXPECT_FALSE(fs::exists(folder_ / "f"));
}

TEST_F(Download, AMissingFileIsAFailureAtOnce) {
  server_.set_faults({{"/file", {"*status:404"}}});
  const Fetch result = fetch(server_, folder_ / "f", bytes_);
  ASSERT_TRUE(result.failure);
  EXPECT_EQ(result.failure->status, 404);
  EXPECT_EQ(server_.requests().size(), 1u);
  EXPECT_FALSE(fs::exists(folder_ / "f"));
}

TEST_F(Download, GivesUpInTheEndAndKeepsThePart) {
  server_.set_faults({{"/file", {"cut:5000", "*status:502"}}});
  const Fetch result = fetch(server_, folder_ / "f", bytes_);
  ASSERT_TRUE(result.failure);
  EXPECT_EQ(result.failure->status, 502);
  EXPECT_EQ(server_.requests().size(), 5u);
  EXPECT_EQ(read_file(folder_ / "f.partial"), bytes_.substr(0, 5000));
}

TEST_F(Download, ChecksSmallFilesAsGitNamesThem) {
  // git hash-object of "hello\n"
  server_.put("file", "hello\n");
  const FileDownload file{
      server_.url("file"),
      folder_ / "f",
      6,
      {Checksum::Kind::kGitBlobSha1, "ce013625030ba8dba906f756967f9e9ca394464a"}};
  EXPECT_FALSE(http_download(file, patient(), [](std::uint64_t) {}));
  EXPECT_EQ(read_file(folder_ / "f"), "hello\n");
}

TEST_F(Download, AFolderThatCannotBeWrittenIsAnError) {
  write_file(folder_ / "file", "");
  EXPECT_NE(
      error_of([&] { fetch(server_, folder_ / "file" / "f", bytes_); }).find("cannot be written"),
      std::string::npos);
}

TEST(HttpGet, ReturnsTheBodyAndTheFinalUrl) {
  TestServer server;
  server.put("page", "text");
  server.set_faults({{"/old", {"redirect:/page"}}});
  const auto answer = http_get(server.url("old"), patient(), 100);
  ASSERT_TRUE(std::holds_alternative<HttpText>(answer));
  EXPECT_EQ(std::get<HttpText>(answer).body, "text");
  EXPECT_EQ(std::get<HttpText>(answer).final_url, server.url("page"));
}

TEST(HttpGet, SaysWhatWentWrong) {
  TestServer server;
  server.put("long", std::string(1000, 'x'));
  server.set_faults({{"/loop", {"*redirect:/loop"}}});
  const auto failure = [&](const std::string& url) {
    return std::get<HttpFailure>(http_get(url, patient(), 100));
  };
  EXPECT_EQ(failure(server.url("none")).status, 404);
  EXPECT_NE(failure(server.url("long")).message.find("longer than 100"), std::string::npos);
  EXPECT_NE(failure(server.url("loop")).message.find("redirects"), std::string::npos);
  EXPECT_NE(failure("http://127.0.0.1:1/").message.find("is the network there?"),
            std::string::npos);
  EXPECT_EQ(failure("file:///etc/passwd").status, 0);
}

TEST(HttpGet, ATokenStaysWithItsHost) {
  TestServer server;
  server.put("page", "text");
  server.set_faults(
      {{"/away", {"redirect:http://localhost:" + std::to_string(server.port()) + "/page"}}});
  HttpOptions options = patient();
  options.headers = {"Authorization: Bearer secret"};
  http_get(server.url("away"), options, 100);
  EXPECT_EQ(server.requests(), (std::vector<std::string>{"/away - Bearer secret", "/page - -"}));
}

TEST(Urls, ResolveAndEncode) {
  EXPECT_EQ(resolve_url("https://a.org/simple/x/", "../../f/y.whl"), "https://a.org/f/y.whl");
  EXPECT_EQ(resolve_url("https://a.org/simple/x/", "https://b.org/y"), "https://b.org/y");
  EXPECT_EQ(url_for_people("https://user:secret@a.org/x@y"), "https://a.org/x@y");
  EXPECT_EQ(url_for_people("https://a.org/x@y"), "https://a.org/x@y");
  EXPECT_EQ(percent_encode_path("a b/c?\xC3\xA9"), "a%20b/c%3F%C3%A9");
}

}  // namespace
}  // namespace tigerbot
