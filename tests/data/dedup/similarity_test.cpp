#include <gtest/gtest.h>

#include <cmath>

#include "base/random.h"
#include "data/dedup/bit_edit_distance.h"
#include "data/dedup/common_substrings.h"
#include "data/dedup/folded_text.h"
#include "data/dedup/sketch.h"

namespace tigerbot::data {
namespace {

std::u16string random_text(std::uint64_t seed, std::size_t length, std::uint64_t alphabet) {
  std::u16string text;
  for (std::size_t k = 0; k < length; ++k)
    text.push_back(static_cast<char16_t>(u'a' + random_below({seed, 0, k}, alphabet)));
  return text;
}

std::size_t plain_distance(std::u16string_view a, std::u16string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  for (std::size_t k = 0; k <= b.size(); ++k) row[k] = k;
  for (std::size_t i = 0; i < a.size(); ++i) {
    std::size_t corner = row[0]++;
    for (std::size_t k = 1; k <= b.size(); ++k) {
      const std::size_t changed = corner + (a[i] == b[k - 1] ? 0 : 1);
      corner = row[k];
      row[k] = std::min({changed, row[k] + 1, row[k - 1] + 1});
    }
  }
  return row[b.size()];
}

TEST(BitEditDistance, EqualsThePlainOneForAllLengths) {
  BitEditDistance distance;
  for (std::uint64_t seed = 0; seed < 300; ++seed) {
    const auto a = random_text(seed, random_below({seed, 1, 0}, 200), 4);
    const auto b = random_text(seed + 1000, random_below({seed, 1, 1}, 200), 4);
    EXPECT_EQ(distance(a, b), plain_distance(a, b)) << seed;
  }
}

TEST(SubstringSimilarity, IsOneMinusTheShareOfEdits) {
  SubstringSimilarity similarity;
  const auto text = random_text(1, 1000, 26);
  EXPECT_EQ(similarity(text, text), 1);
  EXPECT_EQ(similarity(u"", u""), 1);
  EXPECT_EQ(similarity(text, u""), 0);
  for (const std::size_t every : {100, 20, 10}) {
    auto changed = text;
    for (std::size_t k = 3; k < changed.size(); k += every) changed[k] = u'#';
    EXPECT_NEAR(similarity(text, changed), 1 - 1.0 / static_cast<double>(every), 0.05) << every;
  }
  // No common substring is as long as a shingle; up to 640 letters the edits alone decide.
  auto changed = text.substr(0, 600);
  for (std::size_t k = 3; k < changed.size(); k += 5) changed[k] = u'#';
  EXPECT_NEAR(similarity(text.substr(0, 600), changed), 0.8, 0.05);
  EXPECT_NEAR(similarity(text, text.substr(0, 800)), 0.8, 1e-9);
  EXPECT_NEAR(similarity(text, text.substr(100)), 0.9, 1e-9);
}

TEST(SubstringSimilarity, OrderDoesNotMatterToLongPieces) {
  SubstringSimilarity similarity;
  const auto a = random_text(1, 300, 26), b = random_text(2, 300, 26), c = random_text(3, 300, 26);
  EXPECT_GT(similarity(a + b + c, c + a + b), 0.97);
  // A piece counts as often as it stands in the other text.
  EXPECT_LT(similarity(a + a + a, a + b + c), 0.4);
  EXPECT_LT(similarity(a + b + c, a + a + a), 0.4);
}

TEST(SubstringSimilarity, UnrelatedTextExplainsNothing) {
  SubstringSimilarity similarity;
  EXPECT_LT(similarity(random_text(1, 500, 12), random_text(2, 500, 12)), 0.05);
  const auto half = random_text(3, 250, 12);
  EXPECT_NEAR(similarity(half + random_text(1, 250, 12), half + random_text(2, 250, 12)), 0.5,
              0.05);
}

TEST(SubstringSimilarity, LongRepetitionsTakeNoSquareOfTime) {
  SubstringSimilarity similarity;
  const std::u16string a(3'000'000, u'a');
  std::u16string b = a;
  b[1'000'000] = u'b';
  b[2'000'000] = u'b';
  EXPECT_GT(similarity(a, b), 0.6);
}

TEST(Sketch, AgreesInAShareOfPlacesEqualToTheJaccardSimilarity) {
  std::vector<std::uint64_t> scratch;
  for (const std::size_t length : {40, 300, 5000}) {
    double matches = 0, wanted = 0;
    for (std::uint64_t seed = 0; seed < 60; ++seed) {
      const auto common = random_text(seed, length, 26);
      const auto a = common + random_text(seed + 1000, length / 2, 26);
      const auto b = common + random_text(seed + 2000, length / 2, 26);
      matches += sketch_matches(make_sketch(a, scratch), make_sketch(b, scratch));
      wanted += 32 * static_cast<double>(length - 7) / static_cast<double>(2 * length - 7);
    }
    EXPECT_NEAR(matches / 60, wanted / 60, 1.7) << length;
  }
}

TEST(Sketch, SimhashIsTheMajorityOfTheShinglesBits) {
  for (const std::size_t length : {5, 30, 31, 500}) {
    const auto text = random_text(length, length, 26);
    std::array<int, 64> balance{};
    for_each_shingle(text, [&](std::size_t, std::uint64_t hash) {
      for (std::size_t bit = 0; bit < 64; ++bit) balance[bit] += (hash >> bit & 1) != 0 ? 1 : -1;
    });
    std::uint64_t wanted = 0;
    for (std::size_t bit = 0; bit < 64; ++bit)
      if (balance[bit] > 0) wanted |= std::uint64_t{1} << bit;
    EXPECT_EQ(sequence_simhash(text), wanted) << length;
  }
}

TEST(FoldedText, WidthCaseSpacesAndControlsFoldAway) {
  EXPECT_EQ(fold_text("  Ｈｅｌｌｏ　\tWORLD\r\n\n"), u"hello world");
  EXPECT_EQ(fold_text("ｶﾀｶﾅ Straße"), fold_text("カタカナ STRAßE"));
  EXPECT_EQ(fold_text("zero\u200bwidth\u00ad"), u"zerowidth");
  EXPECT_EQ(letters_of("C++, 3.5% — 你好，世界！ 안녕"), u"c35你好世界안녕");
  EXPECT_EQ(fold_text("𝐀😀"), u"a😀");
  EXPECT_EQ(fold_text(""), u"");
}

TEST(Shingles, AreEightLettersOrThreeIdeographs) {
  const auto count = [](std::u16string_view text) {
    int shingles = 0;
    for_each_shingle(text, [&](std::size_t, std::uint64_t) { ++shingles; });
    return shingles;
  };
  EXPECT_EQ(count(u""), 0);
  EXPECT_EQ(count(u"abc"), 1);
  EXPECT_EQ(count(u"abcdefgh"), 1);
  EXPECT_EQ(count(u"abcdefghij"), 3);
  EXPECT_EQ(count(u"你好世界"), 2);
}

}  // namespace
}  // namespace tigerbot::data
