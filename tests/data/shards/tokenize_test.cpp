#include "data/shards/tokenize.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <functional>
#include <map>

#include "base/expect_error.h"
#include "base/files.h"
#include "base/hash.h"
#include "base/scratch_folder.h"
#include "data/shards/inspect_shard.h"
#include "data/shards/token_shard.h"

namespace tigerbot::data {
namespace {

using tigerbot::testing::error_of;
using tigerbot::testing::ScratchFolder;

/// A byte is a token; 256 ends a document, 257 begins one.
class ByteTokenizer : public Tokenizer {
 public:
  explicit ByteTokenizer(std::int64_t size = 300) : size_(size) {
    kind = "bytes";
    eos_id = 256;
  }
  using Tokenizer::encode;
  void encode(std::string_view text, const EncodeOptions&,
              std::vector<TokenId>& ids) const override {
    if (encoded) encoded();
    for (const char c : text) ids.push_back(static_cast<unsigned char>(c));
  }
  std::string decode(std::span<const TokenId> ids, bool) const override {
    std::string text;
    for (const TokenId id : ids)
      if (id < 256) text += static_cast<char>(id);
    return text;
  }
  std::int64_t size() const override { return size_; }
  std::string piece(TokenId id) const override { return "p" + std::to_string(id); }
  std::optional<TokenId> id(std::string_view) const override { return std::nullopt; }
  bool is_special(TokenId id) const override { return id >= 256; }

  std::function<void()> encoded;

 private:
  std::int64_t size_;
};

class TokenizeTest : public ::testing::Test {
 protected:
  TokenizeTest() {
    std::string rows;
    for (int k = 0; k < 300; ++k) {
      texts_.push_back("text " + std::string(static_cast<std::size_t>(k % 50), 'x') +
                       std::to_string(k));
      const char* source = k % 3 == 0 ? "books" : "web/news";
      rows += R"({"text": ")" + texts_.back() + R"(", "source": ")" + source +
              R"(", "language": "en"})" + "\n";
    }
    create_folders(folder_ / "in");
    write_file(folder_ / "in" / "rows.jsonl", rows);
    options_.inputs = {(folder_ / "in").string()};
    options_.output = folder_ / "out" / "train";
    options_.eod_id = 256;
    options_.threads = 2;
    options_.part_bytes = 2000;
    options_.show_progress = false;
  }

  TokenizeResult run() { return tokenize(tokenizer_, options_, *solo_); }
  std::map<std::string, std::string> output() const {
    std::map<std::string, std::string> files;
    for (const auto& entry : std::filesystem::directory_iterator(folder_ / "out"))
      files[entry.path().filename().string()] =
          entry.is_directory() ? "folder" : read_file(entry.path());
    return files;
  }
  std::vector<std::string> texts_of(const TokenShard& shard) const {
    std::vector<std::string> texts;
    for (std::uint64_t d = 0; d < shard.documents(); ++d) {
      std::vector<TokenId> ids(shard.length(d));
      shard.read(d, 0, ids, tokenizer_.size());
      EXPECT_EQ(ids.back(), 256);
      texts.push_back(tokenizer_.decode(ids, true));
    }
    return texts;
  }

  ScratchFolder folder_;
  std::vector<std::string> texts_;
  ByteTokenizer tokenizer_;
  TokenizeOptions options_;
  std::unique_ptr<Communicator> solo_ = make_solo_communicator();
};

TEST_F(TokenizeTest, KeepsDocumentsInTheirOrderAndCountsThem) {
  const TokenizeResult result = run();
  EXPECT_GT(result.parts, 10u);
  const TokenShard shard(options_.output);
  EXPECT_EQ(texts_of(shard), texts_);
  shard.check();
  ASSERT_EQ(result.shards.size(), 1u);
  const ShardManifest manifest = read_shard_manifest(options_.output).value();
  EXPECT_EQ(manifest.total.documents, 300u);
  EXPECT_EQ(manifest.total.tokens, shard.tokens());
  EXPECT_EQ(manifest.by_source.at("books").documents, 100u);
  EXPECT_EQ(manifest.by_source.at("web/news").documents, 200u);
  EXPECT_EQ(manifest.by_language.at("en").tokens, shard.tokens());
  EXPECT_EQ(manifest.total.bytes + 300, shard.tokens());
  EXPECT_EQ(manifest.tokenizer, tokenizer_fingerprint(tokenizer_));
  EXPECT_EQ(manifest.eod_id, 256);
  EXPECT_EQ(manifest.bin_sha256, sha256_hex(read_file(options_.output.string() + ".bin")));
  EXPECT_EQ(manifest.idx_sha256, sha256_hex(read_file(options_.output.string() + ".idx")));
  EXPECT_EQ(output().size(), 3u);  // and nothing else is left
}

TEST_F(TokenizeTest, AShardCanBeInspected) {
  run();
  EXPECT_TRUE(is_shard(options_.output));
  EXPECT_TRUE(is_shard(options_.output.string() + ".bin"));
  EXPECT_FALSE(is_shard(folder_ / "in" / "rows.jsonl"));
  const Json found = inspect_shard(options_.output, /*checksums=*/true);
  EXPECT_EQ(found["documents"], 300);
  EXPECT_EQ(found["type"], "uint16");
  EXPECT_EQ(found["manifest"]["sources"]["books"]["documents"], 100);
  EXPECT_NE(format_shard_inspection(found).find("web/news"), std::string::npos);
  const std::string manifest = options_.output.string() + ".json";
  const std::string whole = read_file(manifest);
  Json other = parse_json(whole, "manifest");
  other["total"]["tokens"] = 5;
  write_file(manifest, other.dump());
  EXPECT_NE(error_of([&] { inspect_shard(options_.output, false); }).find("another shard"),
            std::string::npos);
  write_file(manifest, whole);
  std::string bytes = read_file(options_.output.string() + ".bin");
  bytes[7] ^= 1;
  write_file(options_.output.string() + ".bin", bytes);
  EXPECT_NE(error_of([&] { inspect_shard(options_.output, true); }).find("checksum"),
            std::string::npos);
}

TEST_F(TokenizeTest, ThreadsAndPartsDoNotChangeTheBytes) {
  run();
  const auto expected = output();
  options_.overwrite = true;
  for (const int threads : {1, 3}) {
    for (const std::uint64_t part : {700ull, 1000000ull}) {
      options_.threads = threads;
      options_.part_bytes = part;
      run();
      EXPECT_EQ(output(), expected);
    }
  }
}

TEST_F(TokenizeTest, LargeVocabulariesTakeFourBytes) {
  tokenizer_ = ByteTokenizer(65536);
  run();
  EXPECT_EQ(TokenShard(options_.output).type(), ShardType::kInt32);
  EXPECT_EQ(texts_of(TokenShard(options_.output)), texts_);
}

TEST_F(TokenizeTest, SourcesMayGetShardsOfTheirOwn) {
  options_.split_by_source = true;
  const TokenizeResult result = run();
  ASSERT_EQ(result.shards.size(), 2u);
  EXPECT_EQ(result.shards[0].prefix, options_.output.string() + "-books");
  EXPECT_EQ(result.shards[1].prefix, options_.output.string() + "-web_news");
  std::vector<std::string> books;
  for (std::size_t k = 0; k < texts_.size(); k += 3) books.push_back(texts_[k]);
  EXPECT_EQ(texts_of(TokenShard(result.shards[0].prefix)), books);
}

TEST_F(TokenizeTest, DocumentsWithoutTextAreLeftOutAndCounted) {
  write_file(folder_ / "in" / "z.jsonl", "{\"text\": \"\"}\n{\"text\": \"a\"}\n");
  const TokenizeResult result = run();
  EXPECT_EQ(result.empty_documents, 1u);
  EXPECT_EQ(TokenShard(options_.output).documents(), 301u);
  // A row without a source counts for its file.
  EXPECT_EQ(result.shards[0].manifest.by_source.at("z").documents, 1u);
}

TEST_F(TokenizeTest, BeginningsAreAddedWhereAskedFor) {
  options_.bos_id = 257;
  run();
  const TokenShard shard(options_.output);
  std::vector<TokenId> ids(shard.length(0));
  shard.read(0, 0, ids, 300);
  EXPECT_EQ(ids.front(), 257);
  EXPECT_EQ(ids.size(), texts_[0].size() + 2);
}

TEST_F(TokenizeTest, AKilledRunGoesOnToTheSameBytes) {
  run();
  const auto expected = output();
  std::filesystem::remove_all(folder_ / "out");
  options_.threads = 1;
  for (const int encodings : {0, 1, 60, 150, 299}) {
    // A process of its own that kills itself in the middle.
    const pid_t child = fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      int left = encodings;
      ByteTokenizer dying;
      dying.encoded = [&] {
        if (left-- == 0) ::kill(::getpid(), SIGKILL);
      };
      tokenize(dying, options_, *solo_);
      ::_exit(0);
    }
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFSIGNALED(status));
    EXPECT_FALSE(std::filesystem::exists(options_.output.string() + ".idx"));
    const TokenizeResult result = run();
    EXPECT_EQ(result.parts_done > 0, encodings >= 60);
    EXPECT_LT(result.parts_done, result.parts);
    EXPECT_EQ(output(), expected);
    std::filesystem::remove_all(folder_ / "out");
  }
}

TEST_F(TokenizeTest, ARunThatDiedWhileJoiningGoesOn) {
  options_.split_by_source = true;
  run();
  const auto expected = output();
  std::filesystem::remove_all(folder_ / "out");
  // A folder in the way of the second shard's ids stops the run when the first stands already.
  const std::filesystem::path second = options_.output.string() + "-web_news.bin";
  create_folders(second / "in the way");
  EXPECT_NE(error_of([&] { run(); }), "");
  EXPECT_TRUE(std::filesystem::exists(options_.output.string() + "-books.idx"));
  std::filesystem::remove_all(second);
  const TokenizeResult result = run();
  EXPECT_EQ(result.parts_done, result.parts);
  EXPECT_EQ(output(), expected);
}

TEST_F(TokenizeTest, PartsOfOtherInputsAreNotUsed) {
  const auto parts = std::filesystem::path(options_.output.string() + ".parts");
  create_folders(parts);
  write_file(parts / "plan", "another");
  write_file(parts / "00000000.part", "stale");
  run();
  EXPECT_EQ(texts_of(TokenShard(options_.output)), texts_);
}

TEST_F(TokenizeTest, AFolderOfSomethingElseIsLeftAlone) {
  const auto parts = std::filesystem::path(options_.output.string() + ".parts");
  create_folders(parts);
  write_file(parts / "mine", "precious");
  EXPECT_NE(error_of([&] { run(); }).find("holds something else"), std::string::npos);
  EXPECT_EQ(read_file(parts / "mine"), "precious");
}

TEST_F(TokenizeTest, ShardsAreNotReplacedUnasked) {
  run();
  EXPECT_NE(error_of([&] { run(); }).find("--overwrite"), std::string::npos);
  options_.overwrite = true;
  run();
  EXPECT_EQ(texts_of(TokenShard(options_.output)), texts_);
}

TEST_F(TokenizeTest, ABadRowEndsTheRunUnlessItMayBePassedOver) {
  write_file(folder_ / "in" / "z.jsonl", "{\"text\": \"a\"}\n{\"body\": \"b\"}\n");
  EXPECT_NE(error_of([&] { run(); }).find("\"text\" is missing"), std::string::npos);
  EXPECT_FALSE(std::filesystem::exists(options_.output.string() + ".idx"));
  options_.skip_bad_rows = true;
  EXPECT_EQ(run().bad_rows, 1u);
  EXPECT_EQ(TokenShard(options_.output).documents(), 301u);
}

TEST_F(TokenizeTest, InputWithoutTextIsAnError) {
  write_file(folder_ / "in" / "rows.jsonl", "{\"text\": \"\"}\n");
  EXPECT_NE(error_of([&] { run(); }).find("no documents with text"), std::string::npos);
}

TEST_F(TokenizeTest, AnEodThatTheTokenizerLacksIsAnError) {
  options_.eod_id = 300;
  EXPECT_NE(error_of([&] { run(); }).find("not among the tokenizer's 300 pieces"),
            std::string::npos);
}

TEST(TokenizerFingerprint, FollowsThePieces) {
  EXPECT_EQ(tokenizer_fingerprint(ByteTokenizer()), tokenizer_fingerprint(ByteTokenizer()));
  EXPECT_NE(tokenizer_fingerprint(ByteTokenizer(300)), tokenizer_fingerprint(ByteTokenizer(301)));
}

TEST(ShardManifest, IsReadBackAsWritten) {
  ShardManifest manifest;
  manifest.tokenizer = "abc";
  manifest.vocabulary_size = 7;
  manifest.eod_id = 3;
  manifest.total = {1, 2, 3};
  manifest.by_source["web"] = {1, 2, 3};
  const Json json = shard_manifest_json(manifest);
  EXPECT_EQ(shard_manifest_json(parse_shard_manifest(json, "m.json")), json);
  Json other = json;
  other["extra"] = 1;
  EXPECT_NE(error_of([&] { parse_shard_manifest(other, "m.json"); }).find("unknown key"),
            std::string::npos);
  other = json;
  other["format"] = "something";
  EXPECT_NE(error_of([&] { parse_shard_manifest(other, "m.json"); }), "");
}

}  // namespace
}  // namespace tigerbot::data
