#include "data/dedup/exact_duplicates.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "data/dedup/dedup_fixture.h"

namespace tigerbot::data {
namespace {

using ExactDuplicates = DedupFixture;

TEST_F(ExactDuplicates, TheFirstOfEqualTextsStays) {
  add_unit({"one text", "another text", "One  TEXT\n"});
  add_unit({"ａｎｏｔｈｅｒ text", "something else"});
  const auto found = exact();
  EXPECT_EQ(found, (Found{{0, 2, 0, 0}, {1, 0, 0, 1}}));
}

TEST_F(ExactDuplicates, PunctuationMakesADifference) {
  add_unit({"version 1.5", "version 15", "a = b", "a != b"});
  EXPECT_EQ(exact(), Found{});
}

TEST_F(ExactDuplicates, TheBestQualityStays) {
  Document good = document_of("the same");
  good.scores["quality"] = 0.9;
  Document poor = document_of("the same");
  poor.scores["quality"] = 0.2;
  add_documents(std::vector<Document>{poor, good, poor});
  EXPECT_EQ(exact(), (Found{{0, 0, 0, 1}, {0, 2, 0, 1}}));
}

TEST_F(ExactDuplicates, AnEarlierRunAlwaysStays) {
  Document good = document_of("the same");
  good.scores["quality"] = 0.9;
  add_documents(std::vector<Document>{good, document_of("new")});
  add_unit({"the same", "old", "the same"}, /*earlier=*/true);
  EXPECT_EQ(exact(), (Found{{0, 0, 1, 0}}));
}

TEST_F(ExactDuplicates, ManyBucketsAndThreadsGiveTheSame) {
  std::vector<std::string> texts;
  for (int k = 0; k < 6000; ++k) texts.push_back("text " + std::to_string(k * k % 1999));
  for (int unit = 0; unit < 6; ++unit)
    add_unit(
        std::vector<std::string>(texts.begin() + unit * 1000, texts.begin() + unit * 1000 + 1000));
  threads_ = 1;
  memory_limit_ = 1 << 30;
  const auto one = exact();
  threads_ = 3;
  memory_limit_ = 1 << 20;
  EXPECT_EQ(exact(), one);
  EXPECT_GT(one.size(), 4000u);
}

TEST_F(ExactDuplicates, NoDocumentsAreNoTrouble) {
  EXPECT_EQ(exact(), Found{});
  add_unit(std::vector<std::string>{});
  EXPECT_EQ(exact(), Found{});
}

const std::string kLong =
    "This paragraph is long enough to be looked at when paragraphs are compared.";

TEST_F(ExactDuplicates, AParagraphOfAnEarlierDocumentIsCut) {
  fingerprint_settings_.paragraphs = true;
  add_unit({kLong + "\n\nOnly here, though it is long enough to be compared with others.\n",
            "Short\n\n" + kLong + "\n\nShort\n\n" + kLong + " \n\nend"});
  add_unit({kLong});
  const auto dropped = by_unit(find_exact_duplicates(units_, context("exact")));
  const auto paths = find_duplicate_paragraphs(units_, dropped, context("paragraphs"));
  const auto first = read_duplicate_decisions(paths.at(0));
  ASSERT_EQ(first.size(), 2u);
  EXPECT_EQ(first[0].document, 1u);
  EXPECT_EQ(first[0].paragraph, 1u);
  EXPECT_EQ(first[1].paragraph, 3u);
  EXPECT_EQ(first[0].kept_document, 0u);
  ASSERT_EQ(read_duplicate_decisions(paths.at(1)).size(), 1u);

  Document document = document_of("Short\n\n" + kLong + "\n\nShort\n\n" + kLong + " \n\nend");
  cut_paragraphs(document, std::vector<std::uint32_t>{1, 3});
  EXPECT_EQ(document.text, "Short\n\nShort\n\nend");
  EXPECT_EQ(document.edits, std::vector<std::string>{"exact_duplicates.paragraph"});
}

TEST_F(ExactDuplicates, FingerprintsWithoutParagraphsAreAnError) {
  add_unit({kLong});
  EXPECT_THROW(find_duplicate_paragraphs(units_, {}, context("paragraphs")), Error);
}

TEST(SplitParagraphs, BlankLinesSeparateAndElseLines) {
  using Parts = std::vector<std::string_view>;
  EXPECT_EQ(split_paragraphs("a\nb\n\nc\n"), (Parts{"a\nb\n\n", "c\n"}));
  EXPECT_EQ(split_paragraphs("a\nb"), (Parts{"a\n", "b"}));
  EXPECT_EQ(split_paragraphs("\n\na\nb\n \n"), (Parts{"\n", "\n", "a\n", "b\n", " \n"}));
  EXPECT_EQ(split_paragraphs(""), Parts{});
}

TEST(ExactDuplicateSettings, UnknownKeysAndWrongValuesAreErrors) {
  const auto read = [](const Json& json) {
    JsonReader reader(json, "recipe.toml", "stage[0]");
    return read_exact_duplicate_settings(reader);
  };
  EXPECT_TRUE(read({{"kind", "exact_duplicates"}, {"paragraphs", true}}).paragraphs);
  EXPECT_THROW(read({{"paragraph", true}}), Error);
  EXPECT_THROW(read({{"minimum_paragraph_characters", 0}}), Error);
}

}  // namespace
}  // namespace tigerbot::data
