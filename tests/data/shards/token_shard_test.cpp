#include "data/shards/token_shard.h"

#include <gtest/gtest.h>

#include <cstring>

#include "base/expect_error.h"
#include "base/files.h"
#include "base/json.h"
#include "base/scratch_folder.h"
#include "data/shards/make_shard.h"

namespace tigerbot::data {
namespace {

using testing::Documents;
using testing::make_shard;
using tigerbot::testing::error_of;
using tigerbot::testing::ScratchFolder;

const std::filesystem::path kGolden = TIGERBOT_SOURCE_DIR "/tests/golden/shards";

std::vector<TokenId> ids_of(const TokenShard& shard, std::uint64_t document) {
  std::vector<TokenId> ids(shard.length(document));
  shard.read(document, 0, ids, 1 << 30);
  return ids;
}

/// The documents that Megatron's builder was given, their sequences joined.
Documents golden_documents(const std::string& name) {
  Documents documents;
  const Json all = read_json_file(kGolden / "documents.json");
  for (const Json& sequences : all[name]) {
    std::vector<TokenId>& document = documents.emplace_back();
    for (const Json& sequence : sequences)
      for (const Json& id : sequence) document.push_back(id.get<TokenId>());
  }
  return documents;
}

TEST(TokenShard, ReadsWhatMegatronWrote) {
  for (const std::string name : {"uint16", "int32", "grouped"}) {
    const TokenShard shard(kGolden / name);
    const Documents documents = golden_documents(name);
    ASSERT_EQ(shard.documents(), documents.size()) << name;
    for (std::size_t d = 0; d < documents.size(); ++d)
      EXPECT_EQ(ids_of(shard, d), documents[d]) << name << " " << d;
    shard.check();
  }
}

TEST(TokenShard, IsWrittenByteForByteAsMegatronWritesIt) {
  const ScratchFolder folder;
  for (const auto& [name, type] :
       {std::pair{"uint16", ShardType::kUint16}, std::pair{"int32", ShardType::kInt32}}) {
    const auto prefix = make_shard(folder / name, golden_documents(name), type);
    for (const std::string ending : {".bin", ".idx"})
      EXPECT_EQ(read_file(prefix.string() + ending), read_file((kGolden / name).string() + ending))
          << name << ending;
  }
}

TEST(TokenShard, EitherFileMayBeNamed) {
  EXPECT_EQ(TokenShard(kGolden / "uint16.bin").documents(), 6u);
  EXPECT_EQ(TokenShard(kGolden / "uint16.idx").documents(), 6u);
}

TEST(TokenShard, FindsTheDocumentOfAToken) {
  const ScratchFolder folder;
  const Documents documents{{}, {1, 2}, {}, {}, {3}, {4, 5, 6}, {}};
  const TokenShard shard(make_shard(folder / "s", documents));
  EXPECT_EQ(shard.tokens(), 6u);
  const std::vector<std::uint64_t> expected{1, 1, 4, 5, 5, 5};
  for (std::uint64_t token = 0; token < expected.size(); ++token)
    EXPECT_EQ(shard.document_of_token(token), expected[token]) << token;
}

TEST(TokenShard, AShardWithoutTokensHasDocumentsAllTheSame) {
  const ScratchFolder folder;
  const TokenShard shard(make_shard(folder / "s", {{}, {}}));
  EXPECT_EQ(shard.documents(), 2u);
  EXPECT_EQ(shard.tokens(), 0u);
  EXPECT_EQ(TokenShard(make_shard(folder / "none", {})).documents(), 0u);
}

TEST(ShardType, IsSixteenBitsUpTo65535Pieces) {
  EXPECT_EQ(shard_type_for(65535), ShardType::kUint16);
  EXPECT_EQ(shard_type_for(65536), ShardType::kInt32);
}

class BadShard : public ::testing::Test {
 protected:
  BadShard() : prefix_(make_shard(folder_ / "s", {{1, 2, 3}, {4, 5}, {60000}})) {}

  std::string file(const char* ending) const { return prefix_.string() + ending; }
  /// Puts a number into the index.
  template <class T>
  void patch(std::size_t offset, T value) const {
    std::string bytes = read_file(file(".idx"));
    ASSERT_LE(offset + sizeof value, bytes.size());
    std::memcpy(bytes.data() + offset, &value, sizeof value);
    write_file(file(".idx"), bytes);
  }
  std::string open_error() const {
    return error_of([&] { TokenShard shard(prefix_); });
  }

  // Offsets of the index of three sequences.
  static constexpr std::size_t kType = 17, kCount = 18, kBorders = 26, kSizes = 34,
                               kPointers = kSizes + 3 * 4, kStarts = kPointers + 3 * 8;
  ScratchFolder folder_;
  std::filesystem::path prefix_;
};

TEST_F(BadShard, ATruncatedBinIsAnError) {
  write_file(file(".bin"), read_file(file(".bin")).substr(0, 10));
  EXPECT_NE(open_error().find("truncated or belongs to another shard"), std::string::npos);
}

TEST_F(BadShard, ABinOfAnotherShardIsAnError) {
  make_shard(folder_ / "t", {{1, 2}, {3}});
  write_file(file(".bin"), read_file(folder_ / "t.bin"));
  EXPECT_NE(open_error().find("s.idx speaks of"), std::string::npos);
}

TEST_F(BadShard, AMissingBinIsAnError) {
  std::filesystem::remove(file(".bin"));
  EXPECT_NE(open_error().find("s.bin"), std::string::npos);
}

TEST_F(BadShard, EveryTruncationOfTheIndexIsAnError) {
  const std::string whole = read_file(file(".idx"));
  for (std::size_t size = 1; size < whole.size(); ++size) {
    write_file(file(".idx"), whole.substr(0, size));
    EXPECT_NE(open_error(), "") << size;
  }
}

TEST_F(BadShard, AnotherMagicVersionOrTypeIsAnError) {
  patch(kType, std::uint8_t{7});
  EXPECT_NE(open_error().find("type 7 is no type of token ids"), std::string::npos);
  patch(9, std::uint64_t{2});
  EXPECT_NE(open_error().find("version 2"), std::string::npos);
  patch(0, 'X');
  EXPECT_NE(open_error().find("does not begin with MMIDIDX"), std::string::npos);
}

TEST_F(BadShard, CountsThatNoFileCanHoldAreErrors) {
  for (const std::uint64_t wild : {~0ull, ~0ull / 12, 1ull << 61, 0ull}) {
    const std::string good = read_file(file(".idx"));
    patch(kCount, wild);
    EXPECT_NE(open_error(), "");
    write_file(file(".idx"), good);
    patch(kBorders, wild);
    EXPECT_NE(open_error(), "");
    write_file(file(".idx"), good);
  }
}

TEST_F(BadShard, WildPointersSizesAndBordersAreErrorsWhereTheyAreUsed) {
  const std::string good = read_file(file(".idx"));
  const auto broken = [&] {
    const TokenShard shard(prefix_);
    std::string message = error_of([&] { ids_of(shard, 1); });
    EXPECT_NE(error_of([&] { shard.check(); }), "");
    write_file(file(".idx"), good);
    return message;
  };
  for (const std::uint64_t pointer : {~0ull, 1ull << 40, 7ull, 11ull}) {
    patch(kPointers + 8, pointer);
    EXPECT_NE(broken().find("document 1"), std::string::npos) << pointer;
  }
  for (const std::int32_t size : {-1, INT32_MAX, 1000}) {
    patch(kSizes + 4, size);
    EXPECT_NE(broken().find("document 1"), std::string::npos) << size;
  }
  patch(kStarts + 8, std::uint64_t{1} << 50);
  EXPECT_NE(broken().find("document 1"), std::string::npos);
}

TEST_F(BadShard, DocumentsThatOverlapAreFoundByACheck) {
  patch(kPointers + 8, std::uint64_t{2});
  const TokenShard shard(prefix_);
  EXPECT_NE(error_of([&] { shard.check(); }).find("the one before ends at 3"), std::string::npos);
}

TEST_F(BadShard, IdsBeyondTheVocabularyAreNamed) {
  const TokenShard shard(prefix_);
  std::vector<TokenId> ids(1);
  EXPECT_EQ(error_of([&] { shard.read(2, 0, ids, 49152); }),
            prefix_.string() +
                ".bin: token 0 of document 2 has id 60000, and the model has 49152 pieces; the "
                "shard was written by another tokenizer or is damaged");
  shard.read(2, 0, ids, 60001);
  EXPECT_EQ(ids[0], 60000);
}

TEST_F(BadShard, NegativeIdsAreOutsideEveryVocabulary) {
  const TokenShard shard(make_shard(folder_ / "n", {{5, -1}}, ShardType::kInt32));
  std::vector<TokenId> ids(2);
  EXPECT_NE(error_of([&] { shard.read(0, 0, ids, 1 << 30); }).find("has id"), std::string::npos);
}

TEST_F(BadShard, ReadingPastADocumentIsAnError) {
  const TokenShard shard(prefix_);
  std::vector<TokenId> ids(3);
  EXPECT_NE(error_of([&] { shard.read(1, 0, ids, 100); }).find("has 2 tokens"), std::string::npos);
  EXPECT_NE(error_of([&] { shard.read(9, 0, ids, 100); }).find("no document 9"), std::string::npos);
}

}  // namespace
}  // namespace tigerbot::data
