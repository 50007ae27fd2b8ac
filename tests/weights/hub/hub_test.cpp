#include <fmt/format.h>
#include <gtest/gtest.h>

#include <thread>

#include "base/expect_error.h"
#include "base/files.h"
#include "base/hash.h"
#include "base/json.h"
#include "weights/hub/hugging_face_hub.h"
#include "weights/hub/models.h"
#include "weights/hub/test_server.h"

namespace tigerbot {
namespace {

namespace fs = std::filesystem;
using testing::error_of;
using testing::ScopedVariables;
using testing::ScratchFolder;
using testing::TestServer;

const std::string kCommit(40, 'a');

std::string git_sha1(const std::string& bytes) {
  Digest digest(Digest::Kind::kSha1);
  digest.update(fmt::format("blob {}", bytes.size()) + std::string(1, '\0') + bytes);
  return digest.finish_hex();
}

Json lfs_file(const std::string& name, const std::string& bytes) {
  return {{"rfilename", name},
          {"size", bytes.size()},
          {"blobId", std::string(40, '0')},
          {"lfs", {{"sha256", sha256_hex(bytes)}, {"size", bytes.size()}, {"pointerSize", 134}}}};
}

Json git_file(const std::string& name, const std::string& bytes) {
  return {{"rfilename", name}, {"size", bytes.size()}, {"blobId", git_sha1(bytes)}};
}

Json listing_of(const std::vector<Json>& files) {
  return {{"id", "o/n"}, {"sha", kCommit}, {"siblings", files}};
}

std::vector<std::string> chosen(const std::vector<std::string>& names, const std::string& model) {
  HubListing listing{kCommit, {}};
  for (const auto& name : names)
    listing.files.push_back({name, 1, {Checksum::Kind::kGitBlobSha1, git_sha1("x")}});
  std::vector<std::string> result;
  for (const auto& file : choose_model_files(listing, HubName::parse(model)))
    result.push_back(file.name);
  return result;
}

using Names = std::vector<std::string>;

TEST(HubName, IsReadAndWritten) {
  const HubName name = HubName::parse("hf:HuggingFaceTB/SmolLM2-135M@refs/pr/1");
  EXPECT_EQ(name.owner, "HuggingFaceTB");
  EXPECT_EQ(name.name, "SmolLM2-135M");
  EXPECT_EQ(name.revision, "refs/pr/1");
  EXPECT_EQ(name.text(), "hf:HuggingFaceTB/SmolLM2-135M@refs/pr/1");
  EXPECT_EQ(name.folder(), "hf/HuggingFaceTB/SmolLM2-135M@refs%2Fpr%2F1");
  EXPECT_EQ(HubName::parse("hf:a/b").folder(), "hf/a/b");
  EXPECT_EQ(HubName::parse("hf:a/b/q4/c.gguf").file, "q4/c.gguf");
  EXPECT_EQ(HubName::parse("hf:a/b/q4/c.gguf").folder(), "hf/a/b%2Fq4%2Fc.gguf");
}

TEST(HubName, OtherFormsAreErrors) {
  for (const std::string text : {"hf:", "hf:a", "hf:a/", "hf:/b", "hf:../b", "hf:a/..", "hf:a/b@",
                                 "hf:a/b@..", "hf:a/b@x/../../y", "hf:a/b/c.txt",
                                 "hf:a/b/../c.gguf", "hf:a b/c", "hf:a/b\n", "hf:a/b@x%2F"})
    EXPECT_NE(error_of([&] { HubName::parse(text); }).find("hf:OWNER/NAME"), std::string::npos)
        << text;
}

TEST(HubFiles, SafetensorsAreTakenBeforeAnythingElse) {
  EXPECT_EQ(
      chosen({".gitattributes", "README.md", "LICENSE", "config.json", "model.safetensors",
              "pytorch_model.bin", "onnx/model.onnx", "onnx/config.json", "tokenizer.json",
              "tokenizer.model", "vocab.txt", "chat_template.jinja", "1_Pooling/config.json",
              "consolidated.safetensors", "x.gguf"},
             "hf:a/b"),
      (Names{"LICENSE", "config.json", "model.safetensors", "tokenizer.json", "tokenizer.model",
             "vocab.txt", "chat_template.jinja", "1_Pooling/config.json"}));
  EXPECT_EQ(chosen({"config.json", "model-00001-of-00002.safetensors",
                    "model-00002-of-00002.safetensors", "model.safetensors.index.json"},
                   "hf:a/b")
                .size(),
            4u);
}

TEST(HubFiles, AGgufFileIsTakenAlone) {
  EXPECT_EQ(chosen({"README.md", "config.json", "x.gguf"}, "hf:a/b"), Names{"x.gguf"});
  EXPECT_EQ(chosen({"x.gguf", "y.gguf"}, "hf:a/b/y.gguf"), Names{"y.gguf"});
  EXPECT_NE(error_of([] {
              chosen({"x.gguf", "y.gguf"}, "hf:a/b");
            }).find("x.gguf, y.gguf"),
            std::string::npos);
  EXPECT_NE(error_of([] { chosen({"x.gguf"}, "hf:a/b/y.gguf"); }).find("no file \"y.gguf\""),
            std::string::npos);
}

TEST(HubFiles, ARepositoryWithoutAModelIsAnError) {
  EXPECT_NE(error_of([] {
              chosen({"config.json", "pytorch_model.bin"}, "hf:a/b");
            }).find("pickles"),
            std::string::npos);
  EXPECT_NE(error_of([] { chosen({"README.md"}, "hf:a/b"); }).find("no safetensors and no GGUF"),
            std::string::npos);
  EXPECT_NE(error_of([] { chosen({"model.safetensors"}, "hf:a/b"); }).find("no config.json"),
            std::string::npos);
}

TEST(HubListing, NamesThatLeadOutsideAreErrors) {
  for (const std::string name :
       {"../evil", "/etc/passwd", "a/../../b", "a\\b", "", "a//b", ".", "a\nb", "x/.."})
    EXPECT_NE(error_of([&] {
                parse_hub_listing(listing_of({git_file(name, "x")}).dump(),
                                  HubName::parse("hf:a/b"));
              }).find("outside the model's folder"),
              std::string::npos)
        << name;
}

TEST(HubListing, WrongAnswersAreErrors) {
  for (
      const std::string text :
      {"", "<html>", "[]", "{}", R"({"sha":"xyz","siblings":[]})",
       R"({"sha":"../../../../../../../../../../../../etc/","siblings":[]})",
       R"({"sha":3,"siblings":[]})", R"({"sha":"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"})",
       R"({"sha":"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa","siblings":[{"rfilename":"a","lfs":{"sha256":"x","size":1}}]})",
       R"({"sha":"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa","siblings":[{"rfilename":"a","size":-1}]})"})
    error_of([&] { parse_hub_listing(text, HubName::parse("hf:a/b")); });
}

/// A hub with one model, and a cache folder of its own.
class HubTest : public ::testing::Test {
 protected:
  HubTest()
      : url_(server_.url()),
        variables_{{{"TIGERBOT_CACHE", cache_.path().c_str()},
                    {"HF_ENDPOINT", url_.c_str()},
                    {"HF_TOKEN", nullptr}}} {
    server_.put("api/models/o/n/revision/main",
                listing_of({git_file("config.json", config_),
                            lfs_file("model.safetensors", weights_), git_file("README.md", "no")})
                    .dump());
    server_.put("o/n/resolve/" + kCommit + "/config.json", config_);
    server_.put("o/n/resolve/" + kCommit + "/model.safetensors", weights_);
    ::testing::internal::CaptureStderr();
  }
  ~HubTest() override { ::testing::internal::GetCapturedStderr(); }

  std::string file_url(const std::string& name) const {
    return "/o/n/resolve/" + kCommit + "/" + name;
  }
  fs::path model() const { return cache_ / "models" / "hf" / "o" / "n"; }

  const std::string config_ = "{\"model_type\":\"llama\"}", weights_ = std::string(200000, 'w');
  TestServer server_;
  ScratchFolder cache_;
  const std::string url_;
  ScopedVariables variables_;
};

TEST_F(HubTest, PullsAModelOnce) {
  EXPECT_EQ(pull_model("hf:o/n"), model());
  EXPECT_EQ(read_file(model() / "config.json"), config_);
  EXPECT_EQ(read_file(model() / "model.safetensors"), weights_);
  EXPECT_FALSE(fs::exists(model() / "README.md"));
  EXPECT_EQ(read_json_file(model() / ".source.json")["commit"], kCommit);
  const auto requests = server_.requests().size();
  EXPECT_EQ(pull_model("hf:o/n"), model());
  EXPECT_EQ(resolve_model("hf:o/n"), model());
  EXPECT_EQ(server_.requests().size(), requests);
}

TEST_F(HubTest, SendsTheToken) {
  const ScopedVariables token{{{"HF_TOKEN", " hf_secret\n"}}};
  pull_model("hf:o/n");
  for (const auto& line : server_.requests())
    EXPECT_NE(line.find("Bearer hf_secret"), std::string::npos) << line;
}

TEST_F(HubTest, NothingHalfFetchedHasTheModelsName) {
  server_.set_faults({{file_url("model.safetensors"), {"cut:50000", "status:404"}}});
  EXPECT_NE(error_of([] { pull_model("hf:o/n"); }).find("HTTP 404"), std::string::npos);
  EXPECT_FALSE(fs::exists(model()));
  EXPECT_TRUE(list_models().empty());

  pull_model("hf:o/n");
  EXPECT_EQ(read_file(model() / "model.safetensors"), weights_);
  EXPECT_NE(server_.requests().back().find("bytes=50000-"), std::string::npos);
  EXPECT_FALSE(fs::exists(cache_ / "downloads" / "hf:o%2Fn"));
}

TEST_F(HubTest, AWrongChecksumIsAnErrorAndNoModel) {
  server_.put("o/n/resolve/" + kCommit + "/config.json", "{\"model_type\":\"other\"}");
  const std::string message = error_of([] { pull_model("hf:o/n"); });
  EXPECT_TRUE(message.find("wrong checksum") != std::string::npos ||
              message.find("longer than") != std::string::npos)
      << message;
  EXPECT_FALSE(fs::exists(model()));
}

TEST_F(HubTest, RefusalsSayWhatToDo) {
  server_.set_faults(
      {{"/api/models/o/n/revision/main", {"status:401", "status:403", "status:404"}}});
  EXPECT_NE(error_of([] { pull_model("hf:o/n"); }).find("set HF_TOKEN"), std::string::npos);
  EXPECT_NE(error_of([] { pull_model("hf:o/n"); }).find("set HF_TOKEN"), std::string::npos);
  EXPECT_NE(error_of([] { pull_model("hf:o/n"); }).find("check owner, name"), std::string::npos);
  EXPECT_NE(error_of([] { pull_model("hf:o/none"); }).find("HTTP 404"), std::string::npos);
}

TEST_F(HubTest, NoNetworkIsAnError) {
  const ScopedVariables endpoint{{{"HF_ENDPOINT", "http://127.0.0.1:1"}}};
  Hub hub = Hub::from_environment();
  hub.http.attempts = 1;
  EXPECT_NE(error_of([&] {
              list_hub_files(hub, HubName::parse("hf:o/n"));
            }).find("is the network there?"),
            std::string::npos);
  const ScopedVariables wrong{{{"HF_ENDPOINT", "ftp://x"}}};
  error_of([] { Hub::from_environment(); });
}

TEST_F(HubTest, OneOfManyFetchesAndTheOthersWait) {
  std::vector<std::thread> threads;
  std::vector<fs::path> paths(4);
  for (auto& path : paths) threads.emplace_back([&] { path = pull_model("hf:o/n"); });
  for (auto& thread : threads) thread.join();
  for (const auto& path : paths) EXPECT_EQ(path, model());
  EXPECT_EQ(server_.requests().size(), 3u);
}

TEST_F(HubTest, ListsAndRemoves) {
  server_.put("api/models/o/n/revision/v_1", listing_of({git_file("config.json", config_),
                                                         lfs_file("model.safetensors", weights_)})
                                                 .dump());
  pull_model("hf:o/n");
  pull_model("hf:o/n@v_1");
  create_folders(cache_ / "models" / "mine.partial-1-2");
  const auto models = list_models();
  ASSERT_EQ(models.size(), 2u);
  EXPECT_EQ(models[0].name, "hf:o/n");
  EXPECT_EQ(models[1].name, "hf:o/n@v_1");
  EXPECT_GT(models[0].bytes, weights_.size());
  EXPECT_EQ(resolve_model(models[1].name), models[1].path);

  EXPECT_EQ(remove_model("hf:o/n"), models[0].bytes);
  EXPECT_FALSE(fs::exists(model()));
  EXPECT_EQ(list_models().size(), 1u);
  EXPECT_NE(error_of([] {
              remove_model("hf:o/n@v_2");
            }).find("is not here; did you mean \"hf:o/n@v_1\"?"),
            std::string::npos);
  error_of([] { remove_model("../../etc"); });
}

TEST_F(HubTest, RemoveDropsWhatWasHalfFetched) {
  server_.set_faults({{file_url("model.safetensors"), {"cut:50000", "status:404"}}});
  error_of([] { pull_model("hf:o/n"); });
  EXPECT_EQ(remove_model("hf:o/n"), 50000u + config_.size());
  error_of([] { remove_model("hf:o/n"); });
}

TEST(ResolveModel, PathsAreThemselvesAndMisspelledNamesAreNamed) {
  ScratchFolder folder;
  EXPECT_EQ(resolve_model(folder.path().string()), folder.path());
  EXPECT_NE(error_of([] {
              resolve_model("smollm2-135m-instuct");
            }).find("did you mean \"smollm2-135m-instruct\"?"),
            std::string::npos);
  EXPECT_NE(error_of([] { resolve_model("some/folder"); }).find("hf:OWNER/NAME"),
            std::string::npos);
  EXPECT_NE(error_of([] { resolve_model(""); }).find("no such file"), std::string::npos);
}

}  // namespace
}  // namespace tigerbot
