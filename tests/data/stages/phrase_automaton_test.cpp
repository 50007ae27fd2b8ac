#include "data/stages/phrase_automaton.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "base/random.h"

namespace tigerbot::data {
namespace {

/// The matched pieces of `text`.
std::vector<std::string> found(const std::vector<std::string>& phrases, std::string_view text) {
  std::vector<std::string> out;
  for (const PhraseMatch& match : PhraseAutomaton(phrases).matches(text))
    out.emplace_back(text.substr(match.begin, match.end - match.begin));
  return out;
}

using Pieces = std::vector<std::string>;

TEST(PhraseAutomaton, FindsOverlappingPhrasesByTheirEnds) {
  EXPECT_EQ(found({"赌博网", "博网站", "赌博"}, "一个赌博网站。"),
            (Pieces{"赌博", "赌博网", "博网站"}));
  EXPECT_EQ(found({"abc"}, ""), Pieces{});
  EXPECT_EQ(found({}, "abc"), Pieces{});
}

TEST(PhraseAutomaton, FoldsCaseWidthAndTraditionalForms) {
  EXPECT_EQ(found({"Casino"}, "the CASINO and ｃａｓｉｎｏ"), (Pieces{"CASINO", "ｃａｓｉｎｏ"}));
  EXPECT_EQ(found({"赌博网站"}, "賭博網站"), Pieces{"賭博網站"});
  EXPECT_EQ(found({"賭博網站"}, "赌博网站"), Pieces{"赌博网站"});
}

TEST(PhraseAutomaton, SeesThroughInsertedSeparators) {
  EXPECT_EQ(found({"赌博"}, "赌*博"), Pieces{"赌*博"});
  EXPECT_EQ(found({"赌博网"}, "赌 博 网"), Pieces{"赌 博 网"});
  EXPECT_EQ(found({"赌博网"}, "赌\u200B博网"), Pieces{"赌\u200B博网"});
  EXPECT_EQ(found({"casino"}, "c.a.s.i.n.o"), Pieces{"c.a.s.i.n.o"});
  // Ordinary punctuation between two words is no disguise.
  EXPECT_EQ(found({"赌博"}, "他赌，博士也赌"), Pieces{});
  EXPECT_EQ(found({"赌博网"}, "赌博，网"), Pieces{});
  EXPECT_EQ(found({"casino"}, "cas ino"), Pieces{});
  EXPECT_EQ(found({"casino"}, "cas*ino cas *ino a cas,*ino"),
            (Pieces{"cas*ino", "cas *ino", "cas,*ino"}));
  EXPECT_EQ(found({"赌博网"}, "赌\n博\n网"), Pieces{});
}

TEST(PhraseAutomaton, KeepsTheSpacesOfAPhrase) {
  EXPECT_EQ(found({"free shipping"}, "Free  shipping, free\nshipping"),
            (Pieces{"Free  shipping", "free\nshipping"}));
  EXPECT_EQ(found({"free shipping"}, "freeshipping"), Pieces{});
}

TEST(PhraseAutomaton, MatchesWholeWordsOfSpacedScripts) {
  EXPECT_EQ(found({"ass"}, "class assess ass"), Pieces{"ass"});
  EXPECT_EQ(found({"cul"}, "culture écul cul"), Pieces{"cul"});
  EXPECT_EQ(found({"sm调教"}, "说sm调教"), Pieces{"sm调教"});
  EXPECT_EQ(found({"강간"}, "건강간식 강간은"), Pieces{"강간"});
}

TEST(PhraseAutomaton, PassesOverWhatCannotBeMatched) {
  const std::vector<std::string> phrases = {"", "  ", "13.", "网", "abc"};
  const PhraseAutomaton automaton(phrases);
  EXPECT_EQ(automaton.ignored(), 4u);
  EXPECT_EQ(automaton.matches("13. 网 abc").size(), 1u);
}

TEST(PhraseAutomaton, SurvivesBrokenUtf8) {
  const std::vector<std::string> phrases = {"赌博"};
  const std::string text = "\xE8\xB5赌博\xFF\xE8";
  EXPECT_EQ(PhraseAutomaton(phrases).matches(text).size(), 1u);
}

/// Random texts over a small alphabet against plain search.
TEST(PhraseAutomaton, AgreesWithPlainSearch) {
  RandomStream random{7, 0};
  const std::vector<std::string> letters = {"天", "地", "人", "あ", "い"};
  const auto text_of = [&](std::size_t length) {
    std::string out;
    for (std::size_t k = 0; k < length; ++k) out += letters[random.below(letters.size())];
    return out;
  };
  for (int round = 0; round < 50; ++round) {
    std::set<std::string> unique;
    for (int k = 0; k < 60; ++k) unique.insert(text_of(2 + random.below(5)));
    const std::vector<std::string> phrases(unique.begin(), unique.end());
    const std::string text = text_of(400);
    std::multiset<std::pair<std::size_t, std::string>> expected, got;
    for (const std::string& phrase : phrases)
      for (std::size_t at = text.find(phrase); at != std::string::npos;
           at = text.find(phrase, at + 1))
        expected.emplace(at, phrase);
    for (const PhraseMatch& match : PhraseAutomaton(phrases).matches(text)) {
      got.emplace(match.begin, phrases[match.phrase]);
      EXPECT_EQ(text.substr(match.begin, match.end - match.begin), phrases[match.phrase]);
    }
    EXPECT_EQ(got, expected);
  }
}

/// The same over ASCII words, where the scan takes its short cuts.
TEST(PhraseAutomaton, AgreesWithPlainSearchOfWholeWords) {
  RandomStream random{8, 0};
  const auto word = [&] {
    std::string out;
    for (std::size_t k = 1 + random.below(7); k > 0; --k)
      out += static_cast<char>('a' + random.below(2));
    return out;
  };
  for (int round = 0; round < 50; ++round) {
    std::set<std::string> unique;
    for (int k = 0; k < 20; ++k)
      unique.insert(random.below(3) == 0 ? word() + " " + word() : word());
    std::vector<std::string> phrases;
    for (const std::string& phrase : unique)
      if (phrase.size() > 1) phrases.push_back(phrase);
    std::string text = " ";
    for (int k = 0; k < 100; ++k) text += word() + " ";
    std::multiset<std::pair<std::size_t, std::string>> expected, got;
    for (const std::string& phrase : phrases)
      for (std::size_t at = text.find(" " + phrase + " "); at != std::string::npos;
           at = text.find(" " + phrase + " ", at + 1))
        expected.emplace(at + 1, phrase);
    for (const PhraseMatch& match : PhraseAutomaton(phrases).matches(text)) {
      const std::string piece = text.substr(match.begin, match.end - match.begin);
      // Letters spelled out one by one are matched too: plain search knows nothing of those.
      if (piece == phrases[match.phrase]) got.emplace(match.begin, piece);
    }
    EXPECT_EQ(got, expected);
  }
}

}  // namespace
}  // namespace tigerbot::data
