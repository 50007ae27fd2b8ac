#include "data/shards/shard_reader.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>

#include "base/expect_error.h"
#include "base/files.h"
#include "base/scratch_folder.h"
#include "data/shards/make_shard.h"

namespace tigerbot::data {
namespace {

using testing::Documents;
using testing::make_shard;
using testing::numbered_documents;
using tigerbot::testing::error_of;
using tigerbot::testing::ScratchFolder;

/// Three sources: one of two shards, one of long documents, a small one that goes round often.
class ShardReaderTest : public ::testing::Test {
 protected:
  ShardReaderTest() {
    documents_ = {numbered_documents(200, 0, 40), numbered_documents(60, 1, 300),
                  numbered_documents(7, 2, 20)};
    const auto half = documents_[0].begin() + 90;
    make_shard(folder_ / "a1", Documents(documents_[0].begin(), half));
    make_shard(folder_ / "a2", Documents(half, documents_[0].end()));
    make_shard(folder_ / "b", documents_[1]);
    make_shard(folder_ / "c", documents_[2]);
  }

  ShardReaderOptions options(Shuffle shuffle = Shuffle::kDocuments,
                             Packing packing = Packing::kSplit) const {
    ShardReaderOptions options;
    options.sources = {{"a", {folder_ / "a1", folder_ / "a2"}, 0.5},
                       {"b", {folder_ / "b"}, 0.4},
                       {"c", {folder_ / "c"}, 0.1}};
    options.sequence_length = 64;
    options.shuffle = shuffle;
    options.packing = packing;
    options.seed = 11;
    options.vocabulary_size = 65535;
    return options;
  }
  /// One epoch of everything: sources without weights end together, about.
  ShardReaderOptions one_source(std::size_t k, Shuffle shuffle, Packing packing) const {
    ShardReaderOptions single = options(shuffle, packing);
    single.sources = {single.sources[k]};
    return single;
  }

  ScratchFolder folder_;
  std::vector<Documents> documents_;
};

const std::vector<std::pair<Shuffle, Packing>> kModes{{Shuffle::kDocuments, Packing::kSplit},
                                                      {Shuffle::kDocuments, Packing::kWhole},
                                                      {Shuffle::kWindows, Packing::kSplit},
                                                      {Shuffle::kNone, Packing::kSplit},
                                                      {Shuffle::kNone, Packing::kWhole}};

bool equal(const PackedTokens& a, const PackedTokens& b) {
  return a.ids == b.ids && a.labels == b.labels && a.positions == b.positions &&
         a.cu_seqlens == b.cu_seqlens && a.sources == b.sources && a.sequences == b.sequences;
}

/// The pieces of a batch, each as its ids.
std::vector<std::vector<TokenId>> pieces_of(const PackedTokens& packed) {
  std::vector<std::vector<TokenId>> pieces;
  for (std::size_t k = 0; k + 1 < packed.cu_seqlens.size(); ++k)
    pieces.emplace_back(packed.ids.begin() + packed.cu_seqlens[k],
                        packed.ids.begin() + packed.cu_seqlens[k + 1]);
  return pieces;
}

TEST_F(ShardReaderTest, AResumedReaderEqualsOneThatNeverStopped) {
  for (const auto& [shuffle, packing] : kModes) {
    ShardReader whole(options(shuffle, packing));
    for (const int stop : {0, 1, 7, 40}) {
      ShardReader first(options(shuffle, packing));
      for (int k = 0; k < stop; ++k) first.next();
      // As it goes through a file.
      const std::string saved = first.state().dump();
      ShardReader second(options(shuffle, packing));
      second.restore(parse_json(saved, "state"), "state");
      ShardReader reference(options(shuffle, packing));
      for (int k = 0; k < stop; ++k) reference.next();
      EXPECT_EQ(second.position(), static_cast<std::uint64_t>(stop));
      for (int k = 0; k < 60; ++k)
        ASSERT_TRUE(equal(second.next(), reference.next())) << stop << " " << k;
      EXPECT_EQ(second.state(), reference.state());
    }
  }
}

TEST_F(ShardReaderTest, ReadersTakenInTurnEqualOneReader) {
  for (const auto& [shuffle, packing] : kModes) {
    for (const int readers : {2, 3, 5}) {
      ShardReader one(options(shuffle, packing));
      std::vector<ShardReader> many;
      for (int r = 0; r < readers; ++r) {
        ShardReaderOptions of_reader = options(shuffle, packing);
        of_reader.reader = r;
        of_reader.readers = readers;
        many.emplace_back(of_reader);
      }
      for (int round = 0; round < 30; ++round)
        for (ShardReader& reader : many) ASSERT_TRUE(equal(reader.next(), one.next()));
      for (const ShardReader& reader : many) {
        EXPECT_EQ(reader.state(), one.state());
        EXPECT_EQ(reader.tokens(), one.tokens());
      }
    }
  }
}

TEST_F(ShardReaderTest, ARunGoesOnWithAnotherNumberOfReaders) {
  ShardReader one(options());
  ShardReaderOptions of_two = options();
  of_two.readers = 2;
  ShardReader two(of_two);
  two.next(5);
  for (int k = 0; k < 10; ++k) one.next();
  ShardReaderOptions of_three = options();
  of_three.readers = 3;
  of_three.reader = 1;
  ShardReader three(of_three);
  three.restore(two.state(), "state");
  one.next();
  EXPECT_TRUE(equal(three.next(), one.next()));
}

TEST_F(ShardReaderTest, ABatchIsItsSequencesOneAfterAnother) {
  ShardReader singles(options()), batches(options());
  const PackedTokens batch = batches.next(3);
  std::vector<std::vector<TokenId>> expected;
  for (int k = 0; k < 3; ++k)
    for (auto& piece : pieces_of(singles.next())) expected.push_back(piece);
  EXPECT_EQ(pieces_of(batch), expected);
  EXPECT_EQ(batch.sequences, 3);
  EXPECT_EQ(batch.tokens(), 3 * 64);
}

/// Puts pieces together to documents again by their numbered ids, over one epoch of one source.
TEST_F(ShardReaderTest, AnEpochHasEveryTokenOfEveryDocumentOnce) {
  for (const auto& [shuffle, packing] : kModes) {
    for (std::size_t source = 0; source < 3; ++source) {
      ShardReader reader(one_source(source, shuffle, packing));
      std::map<TokenId, int> expected, found;
      std::map<std::pair<TokenId, std::int64_t>, int> expected_pairs, found_pairs;
      for (const auto& document : documents_[source]) {
        for (std::size_t k = 0; k < document.size(); ++k) {
          ++expected[document[k]];
          ++expected_pairs[{document[k], k + 1 < document.size() ? document[k + 1] : -100}];
        }
      }
      const std::uint64_t total = reader.epoch_tokens();
      std::uint64_t seen = 0;
      while (seen < total) {
        const PackedTokens packed = reader.next();
        for (std::size_t k = 0; k < packed.ids.size() && seen < total; ++k, ++seen) {
          ++found[packed.ids[k]];
          ++found_pairs[{packed.ids[k], packed.labels[k]}];
        }
      }
      EXPECT_EQ(found, expected);
      // Every id is predicted from the one before it in its document, cut or not.
      EXPECT_EQ(found_pairs, expected_pairs);
    }
  }
}

TEST_F(ShardReaderTest, PiecesNeverCrossDocuments) {
  for (const auto& [shuffle, packing] : kModes) {
    ShardReader reader(options(shuffle, packing));
    for (int k = 0; k < 100; ++k) {
      const PackedTokens packed = reader.next();
      ASSERT_EQ(packed.positions.size(), packed.ids.size());
      ASSERT_EQ(packed.labels.size(), packed.ids.size());
      ASSERT_EQ(packed.cu_seqlens.back(), packed.tokens());
      ASSERT_EQ(packed.sources.size() + 1, packed.cu_seqlens.size());
      const auto pieces = pieces_of(packed);
      for (std::size_t p = 0; p < pieces.size(); ++p) {
        ASSERT_FALSE(pieces[p].empty());
        const auto& all = documents_[static_cast<std::size_t>(packed.sources[p])];
        const bool inside = std::any_of(all.begin(), all.end(), [&](const auto& document) {
          return std::search(document.begin(), document.end(), pieces[p].begin(),
                             pieces[p].end()) != document.end();
        });
        ASSERT_TRUE(inside);
        for (std::size_t i = 0; i < pieces[p].size(); ++i)
          ASSERT_EQ(packed.positions[static_cast<std::size_t>(packed.cu_seqlens[p]) + i],
                    static_cast<std::int32_t>(i));
      }
    }
  }
}

TEST_F(ShardReaderTest, SplitSequencesAreAllFull) {
  ShardReader reader(options());
  for (int k = 0; k < 200; ++k) ASSERT_EQ(reader.next().tokens(), 64);
}

TEST_F(ShardReaderTest, WholePackingCutsOnlyWhatIsLongerThanASequence) {
  ShardReader reader(one_source(0, Shuffle::kDocuments, Packing::kWhole));
  for (int k = 0; k < 100; ++k) {
    const PackedTokens packed = reader.next();
    ASSERT_LE(packed.tokens(), 64);
    for (const auto& piece : pieces_of(packed))
      ASSERT_NE(std::find(documents_[0].begin(), documents_[0].end(), piece), documents_[0].end());
  }
}

TEST_F(ShardReaderTest, ShuffleNoneKeepsTheStoredOrder) {
  ShardReader reader(one_source(1, Shuffle::kNone, Packing::kSplit));
  std::vector<TokenId> expected, found;
  for (const auto& document : documents_[1])
    expected.insert(expected.end(), document.begin(), document.end());
  while (found.size() < expected.size()) {
    const PackedTokens packed = reader.next();
    found.insert(found.end(), packed.ids.begin(), packed.ids.end());
  }
  found.resize(expected.size());
  EXPECT_EQ(found, expected);
}

TEST_F(ShardReaderTest, SharesOfTokensAreReached) {
  for (const Shuffle shuffle : {Shuffle::kDocuments, Shuffle::kWindows}) {
    ShardReader reader(options(shuffle));
    for (int k = 0; k < 3000; ++k) reader.next();
    const auto total = static_cast<double>(reader.tokens());
    std::uint64_t sum = 0;
    for (const SourceProgress& source : reader.progress()) {
      EXPECT_NEAR(static_cast<double>(source.tokens) / total, source.weight, 0.012) << source.name;
      sum += source.tokens;
    }
    EXPECT_EQ(sum, reader.tokens());
  }
}

TEST_F(ShardReaderTest, ProgressCountsTheTokensGivenOut) {
  ShardReader reader(options());
  std::vector<std::uint64_t> counted(3);
  for (int k = 0; k < 50; ++k) {
    const PackedTokens packed = reader.next();
    for (std::size_t p = 0; p < packed.sources.size(); ++p)
      counted[static_cast<std::size_t>(packed.sources[p])] +=
          static_cast<std::uint64_t>(packed.cu_seqlens[p + 1] - packed.cu_seqlens[p]);
  }
  const auto progress = reader.progress();
  for (std::size_t s = 0; s < 3; ++s) EXPECT_EQ(progress[s].tokens, counted[s]);
  EXPECT_GT(progress[2].epoch, 0u);
}

TEST_F(ShardReaderTest, WithoutWeightsSourcesCountByTheirTokens) {
  ShardReaderOptions natural = options();
  for (ShardSource& source : natural.sources) source.weight = 0;
  ShardReader reader(natural);
  while (reader.tokens() < 20 * reader.epoch_tokens()) reader.next();
  for (const SourceProgress& source : reader.progress())
    EXPECT_NEAR(source.epochs, 20, source.name == "c" ? 5 : 1) << source.name;
}

TEST_F(ShardReaderTest, EpochsComeInDifferentOrders) {
  ShardReader reader(one_source(0, Shuffle::kDocuments, Packing::kWhole));
  std::vector<std::vector<TokenId>> first, second;
  const std::uint64_t total = reader.epoch_tokens();
  while (reader.tokens() < total)
    for (auto& piece : pieces_of(reader.next())) first.push_back(piece);
  while (reader.tokens() < 2 * total)
    for (auto& piece : pieces_of(reader.next())) second.push_back(piece);
  EXPECT_NE(first, second);
}

TEST_F(ShardReaderTest, ASourceKeepsItsOrderWhenAnotherIsAdded) {
  ShardReaderOptions two = options();
  two.sources.pop_back();
  two.packing = Packing::kWhole;
  ShardReaderOptions three = options();
  three.packing = Packing::kWhole;
  const auto order_of_a = [](const ShardReaderOptions& from) {
    ShardReader reader(from);
    std::vector<std::vector<TokenId>> order;
    while (order.size() < 50) {
      const PackedTokens packed = reader.next();
      const auto pieces = pieces_of(packed);
      for (std::size_t p = 0; p < pieces.size(); ++p)
        if (packed.sources[p] == 0) order.push_back(pieces[p]);
    }
    order.resize(50);
    return order;
  };
  EXPECT_EQ(order_of_a(two), order_of_a(three));
}

TEST_F(ShardReaderTest, AStateOfOtherDataIsRefused) {
  const Json state = ShardReader(options()).state();
  const auto refused = [&](const ShardReaderOptions& other) {
    ShardReader reader(other);
    return error_of([&] { reader.restore(state, "data.json"); });
  };
  ShardReaderOptions other = options();
  other.seed = 12;
  EXPECT_EQ(refused(other),
            "data.json: the position was saved for another seed; a run goes on only with the data "
            "that it began with");
  other = options();
  other.sequence_length = 32;
  EXPECT_NE(refused(other).find("another sequence_length"), std::string::npos);
  other = options();
  other.sources[0].weight = 0.6;
  EXPECT_NE(refused(other).find("another list of sources"), std::string::npos);
}

TEST_F(ShardReaderTest, ADamagedStateIsRefused) {
  ShardReader reader(options());
  reader.next();
  const Json good = reader.state();
  for (const auto& [path, value] : std::vector<std::pair<std::string, Json>>{
           {"/sequences", -1},
           {"/sources/0/next", 1'000'000},
           {"/sources/1", nullptr},
           {"/open_document", {{"source", 9}, {"document", 0}, {"next_token", 0}}},
           {"/open_document", {{"source", 0}, {"document", 0}, {"next_token", 1'000'000}}}}) {
    Json bad = good;
    bad[Json::json_pointer(path)] = value;
    EXPECT_NE(error_of([&] { reader.restore(bad, "data.json"); }).find("data.json"),
              std::string::npos)
        << path;
  }
}

TEST_F(ShardReaderTest, IdsBeyondTheVocabularyAreAnError) {
  ShardReaderOptions small = options();
  small.vocabulary_size = 100;
  ShardReader reader(small);
  EXPECT_NE(error_of([&] { reader.next(50); }).find("the model has 100 pieces"), std::string::npos);
}

TEST_F(ShardReaderTest, AManifestOfAnotherTokenizerIsAnError) {
  ShardManifest manifest;
  manifest.tokenizer = "aa";
  manifest.tokenizer_kind = "byte-level BPE";
  manifest.vocabulary_size = 49152;
  make_shard(folder_ / "c", documents_[2], ShardType::kUint16, manifest);
  ShardReaderOptions checked = options();
  checked.sources = {{"c", {folder_ / "c"}, 0}};
  checked.tokenizer = "bb";
  EXPECT_EQ(error_of([&] { ShardReader reader(checked); }),
            (folder_ / "c.json").string() +
                ": the shard was written by another tokenizer (byte-level BPE of 49152 pieces) "
                "than the model's; run `tigerbot data tokenize` with the model's");
  checked.tokenizer = "aa";
  ShardReader reader(checked);
  EXPECT_GT(reader.next().tokens(), 0);
}

TEST_F(ShardReaderTest, AManifestOfAnotherShardIsAnError) {
  write_file(folder_ / "c.json", read_file(folder_ / "b.json"));
  EXPECT_NE(error_of([&] { ShardReader reader(options()); }).find("belongs to another shard"),
            std::string::npos);
}

TEST_F(ShardReaderTest, AShardOfMegatronNeedsNoManifest) {
  std::filesystem::remove(folder_ / "c.json");
  ShardReaderOptions checked = options();
  checked.sources = {{"c", {folder_ / "c"}, 0}};
  checked.tokenizer = "bb";
  EXPECT_GT(ShardReader(checked).next().tokens(), 0);
}

TEST_F(ShardReaderTest, OptionsThatMakeNoSenseAreErrors) {
  const auto refused = [&](const auto& change) {
    ShardReaderOptions bad = options();
    change(bad);
    return error_of([&] { ShardReader reader(bad); });
  };
  EXPECT_NE(refused([](auto& o) { o.sources.clear(); }), "");
  EXPECT_NE(refused([](auto& o) { o.sources[1].name = "a"; }).find("two sources"),
            std::string::npos);
  EXPECT_NE(refused([](auto& o) { o.sources[1].weight = -1; }).find("\"b\""), std::string::npos);
  EXPECT_NE(refused([](auto& o) { o.sources[1].weight = 0; }).find("every source has a weight"),
            std::string::npos);
  EXPECT_NE(refused([](auto& o) { o.sequence_length = 0; }), "");
  EXPECT_NE(refused([](auto& o) { o.sources[0].shards.clear(); }), "");
  make_shard(folder_ / "empty", {{}, {}});
  EXPECT_NE(
      refused([&](auto& o) { o.sources[0].shards = {folder_ / "empty"}; }).find("have no tokens"),
      std::string::npos);
}

}  // namespace
}  // namespace tigerbot::data
