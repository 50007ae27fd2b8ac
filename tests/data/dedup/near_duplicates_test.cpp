#include "data/dedup/near_duplicates.h"

#include <gtest/gtest.h>
#include <sys/resource.h>

#include "base/error.h"
#include "base/random.h"
#include "base/utf8.h"
#include "data/dedup/dedup_fixture.h"

namespace tigerbot::data {
namespace {

using NearDuplicates = DedupFixture;

/// A made-up text of so many words of an alphabet, or of ideographs.
std::string text_of(std::uint64_t seed, int words, bool wide = false) {
  std::string text;
  for (int word = 0; word < words; ++word) {
    const auto at = static_cast<std::uint64_t>(word);
    if (wide) {
      append_utf8(text, 0x4E00 + static_cast<char32_t>(random_below({seed, 1, at}, 3000)));
      continue;
    }
    const std::uint64_t which = random_below({seed, 1, at}, 4000);
    for (std::uint64_t letter = 0; letter < 3 + which % 6; ++letter)
      text.push_back(static_cast<char>('a' + random_below({99, which, letter}, 26)));
    text.push_back(' ');
  }
  return text;
}

/// `text` with `count` of its characters replaced.
std::string edited(const std::string& text, int count, std::uint64_t seed, char32_t by) {
  std::u32string characters = decode_utf8(text);
  for (int k = 0; k < count; ++k)
    characters[random_below({seed, 2, static_cast<std::uint64_t>(k)}, characters.size())] = by;
  return encode_utf8(characters);
}

TEST_F(NearDuplicates, AFewEditsAreFoundInEveryScript) {
  near_settings_.keep = "first";
  add_unit({text_of(1, 100), text_of(2, 100), text_of(3, 200, true), text_of(4, 200, true)});
  add_unit({edited(text_of(1, 100), 5, 1, U'x'), edited(text_of(3, 200, true), 5, 1, U'々'),
            text_of(5, 100)});
  EXPECT_EQ(near(), (Found{{1, 0, 0, 0}, {1, 1, 0, 2}}));
}

TEST_F(NearDuplicates, MovedAndMissingParagraphsAreFound) {
  const std::string a = text_of(1, 50) + "\n", b = text_of(2, 60) + "\n", c = text_of(3, 70) + "\n";
  add_unit({a + b + c, c + a + b, a + b + c + text_of(4, 20), text_of(5, 60) + b + text_of(6, 70)});
  // The longest stays; a third in common is not enough.
  EXPECT_EQ(near(), (Found{{0, 0, 0, 2}, {0, 1, 0, 2}}));
}

TEST_F(NearDuplicates, FormsWithDifferentContentStay) {
  const std::string form = text_of(1, 40);
  add_unit({form + text_of(2, 40), form + text_of(3, 40), form + text_of(4, 40)});
  EXPECT_EQ(near(), Found{});
}

TEST_F(NearDuplicates, TheRuleSaysWhichOneStays) {
  Document shorter = document_of(text_of(1, 100)), longer = document_of(text_of(1, 108));
  shorter.scores["quality"] = 0.9;
  longer.scores["quality"] = 0.1;
  add_documents({shorter, longer});
  EXPECT_EQ(near(), (Found{{0, 1, 0, 0}}));
  near_settings_.keep = "longest";
  EXPECT_EQ(near(), (Found{{0, 0, 0, 1}}));
  near_settings_.keep = "first";
  EXPECT_EQ(near(), (Found{{0, 1, 0, 0}}));
}

TEST_F(NearDuplicates, AnEarlierRunStaysAndIsNamed) {
  add_unit({text_of(1, 120), text_of(2, 100)});
  add_unit({edited(text_of(1, 100), 3, 1, U'x'), edited(text_of(1, 100), 3, 2, U'x')},
           /*earlier=*/true);
  const Found found = near();
  ASSERT_EQ(found.size(), 1u);  // two of an earlier run do not judge each other
  EXPECT_EQ(std::get<0>(found[0]), 0u);
  EXPECT_EQ(std::get<1>(found[0]), 0u);
  EXPECT_EQ(std::get<2>(found[0]), 1u);
}

TEST_F(NearDuplicates, AChainOfSmallStepsDoesNotReachFarTexts) {
  // Each step replaces another eighth of the text: neighbours are alike, the ends are not.
  std::vector<std::string> parts;
  for (std::uint64_t k = 0; k < 8; ++k) parts.push_back(text_of(10 + k, 20));
  std::vector<std::string> texts;
  for (std::uint64_t step = 0; step <= 8; ++step) {
    std::string text;
    for (std::uint64_t k = 0; k < 8; ++k) text += k < step ? text_of(50 + k, 20) : parts[k];
    texts.push_back(text);
  }
  add_unit(texts);
  near_settings_.keep = "first";
  const auto dropped = by_unit(find_exact_duplicates(units_, context("exact")));
  const auto paths = find_near_duplicates(units_, dropped, near_settings_, context("near"));
  const auto decisions = read_duplicate_decisions(paths.at(0));
  EXPECT_GE(decisions.size(), 3u);
  for (const DuplicateDecision& decision : decisions) {
    EXPECT_GE(decision.similarity, 0.75f);
    // Within two steps of the one that stays.
    EXPECT_LE(decision.document, decision.kept_document + 2);
  }
  // The last text shares nothing with the first, so more than one stays.
  EXPECT_LE(decisions.size(), 7u);
}

TEST_F(NearDuplicates, AThousandCopiesLeaveOne) {
  std::vector<std::string> texts;
  const std::string boilerplate = text_of(7, 120);
  for (std::uint64_t k = 0; k < 3000; ++k) texts.push_back(edited(boilerplate, 3, k, U'z'));
  add_unit(texts);
  add_unit({text_of(8, 100)});
  const std::vector<std::string> unequal = texts;
  EXPECT_GE(near().size() + exact().size(), 2995u);
}

TEST_F(NearDuplicates, ThreadsAndMemoryDoNotMatter) {
  for (std::uint64_t unit = 0; unit < 5; ++unit) {
    std::vector<std::string> texts;
    for (std::uint64_t k = 0; k < 600; ++k) {
      const std::uint64_t number = unit * 600 + k;
      texts.push_back(number % 4 == 3 ? edited(text_of(number / 2, 40), 4, number, U'q')
                                      : text_of(number, 40));
    }
    add_unit(texts);
  }
  threads_ = 1;
  memory_limit_ = 1 << 30;
  const Found one = near();
  EXPECT_GT(one.size(), 200u);
  threads_ = 3;
  memory_limit_ = 4 << 20;
  EXPECT_EQ(near(), one);
}

TEST_F(NearDuplicates, AStoppedRunGoesOnFromItsFiles) {
  std::vector<std::string> texts;
  for (std::uint64_t k = 0; k < 400; ++k) texts.push_back(edited(text_of(k % 200, 60), 3, k, U'q'));
  add_unit(texts);
  const auto dropped = by_unit(find_exact_duplicates(units_, context("exact")));
  const DedupContext near_context = context("near");
  const auto paths = find_near_duplicates(units_, dropped, near_settings_, near_context);
  const std::string whole = read_file(paths.at(0));
  EXPECT_GT(read_duplicate_decisions(paths.at(0)).size(), 150u);
  // Any of its files missing or cut short, as a kill or a power cut leaves them.
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(near_context.work_folder))
    if (entry.is_regular_file()) files.push_back(entry.path());
  ASSERT_GT(files.size(), 4u);
  for (std::size_t k = 0; k < files.size(); ++k) {
    std::filesystem::remove(paths.at(0));
    if (std::filesystem::exists(files[k])) {
      if (k % 2 == 0) {
        std::filesystem::remove(files[k]);
      } else {
        std::filesystem::resize_file(files[k], std::filesystem::file_size(files[k]) / 2);
      }
    }
    find_near_duplicates(units_, dropped, near_settings_, near_context);
    EXPECT_EQ(read_file(paths.at(0)), whole) << files[k];
  }
}

TEST_F(NearDuplicates, DroppedDocumentsTakeNoPart) {
  const std::string text = text_of(1, 100);
  add_unit({text, text, edited(text, 3, 1, U'x')});
  EXPECT_EQ(exact(), (Found{{0, 1, 0, 0}}));
  const Found found = near();
  ASSERT_EQ(found.size(), 1u);
  EXPECT_NE(std::get<1>(found[0]), 1u);
}

TEST_F(NearDuplicates, FingerprintsWithoutSketchesAreAnError) {
  fingerprint_settings_.sketch = false;
  add_unit({text_of(1, 100)});
  EXPECT_THROW(near(), Error);
}

TEST(NearDuplicateSettings, UnknownKeysAndWrongValuesAreErrors) {
  const auto read = [](const Json& json) {
    JsonReader reader(json, "recipe.toml", "stage[0]");
    return read_near_duplicate_settings(reader);
  };
  EXPECT_EQ(read({{"kind", "near_duplicates"}, {"keep", "longest"}}).keep, "longest");
  EXPECT_THROW(read({{"keep", "shortest"}}), Error);
  EXPECT_THROW(read({{"similarity", 1.5}}), Error);
  EXPECT_THROW(read({{"similarty", 0.8}}), Error);
}

}  // namespace
}  // namespace tigerbot::data
