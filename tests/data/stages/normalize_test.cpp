#include "data/stages/normalize.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "base/error.h"
#include "data/stages/make_stage.h"

namespace tigerbot::data {
namespace {

std::string normalized(std::string text, const std::string& keys = "") {
  Document document = document_of(std::move(text));
  stage_of("kind = \"normalize\"\n" + keys)->apply(document);
  return document.text;
}

std::vector<std::string> edits_of(std::string text, const std::string& keys = "") {
  Document document = document_of(std::move(text));
  stage_of("kind = \"normalize\"\n" + keys)->apply(document);
  return document.edits;
}

using Edits = std::vector<std::string>;

TEST(Normalize, LeavesGoodTextAloneAndSaysSo) {
  for (const char* text : {"Plain English, with “quotes” — and a café.", "中文，全角标点！（括号）",
                           "「日本語」の文章です。カタカナー。", "한국어 문장입니다.", "a\n\nb",
                           "    indented code"}) {
    EXPECT_EQ(normalized(text), text);
    EXPECT_TRUE(edits_of(text).empty()) << text << ": " << edits_of(text).front();
  }
}

TEST(Normalize, RepairsUtf8ReadAsWindows1252OnceAndTwice) {
  EXPECT_EQ(normalized("donâ€™t worry"), "don’t worry");
  EXPECT_EQ(normalized("cafÃ© crÃ¨me"), "café crème");
  EXPECT_EQ(normalized("cafÃƒÂ© crÃƒÂ¨me"), "café crème");
  EXPECT_EQ(normalized("ä½\u00A0å¥½ï¼Œä¸–ç•Œ"), "你好，世界");
  EXPECT_EQ(edits_of("cafÃ©"), Edits{"normalize.mojibake"});
}

TEST(Normalize, LeavesRealWordsThatLookLikeMojibake) {
  for (const char* text :
       {"NÃO", "l’été «déjà»", "CAFÉ—BAR", "voilà»", "Ü“ und", "Âge d’or", "SÃO PAULO, BRASIL"}) {
    EXPECT_EQ(normalized(text), text);
  }
}

TEST(Normalize, RepairsOnlyTheUnmistakableInAMixedLine) {
  EXPECT_EQ(normalized("café and donâ€™t"), "café and don’t");
}

TEST(Normalize, ReplacesInvalidUtf8) {
  EXPECT_EQ(normalized("a\xFF"
                       "b"),
            "a\uFFFD"
            "b");
  EXPECT_EQ(edits_of("a\xFF"
                     "b"),
            Edits{"normalize.invalid_utf8"});
}

TEST(Normalize, RemovesControlAndInvisibleCharacters) {
  EXPECT_EQ(normalized("a\x01"
                       "b\u200B"
                       "c\uFEFF"
                       "d\u00AD"
                       "e"),
            "abcde");
  EXPECT_EQ(edits_of("a\x01"
                     "b"),
            Edits{"normalize.control_characters"});
  EXPECT_EQ(edits_of("a\u200B"
                     "b"),
            Edits{"normalize.invisible_characters"});
}

TEST(Normalize, KeepsJoinersThatScriptsAndEmojiNeed) {
  for (const char* text : {"می‌خواهم", "👨‍👩‍👧", "क्‍ष"})
    EXPECT_EQ(normalized(text), text);
}

TEST(Normalize, MakesAllLineEndsLineFeeds) {
  EXPECT_EQ(normalized("a\r\nb\rc\u2028"
                       "d\u0085"
                       "e"),
            "a\nb\nc\nd\ne");
  EXPECT_EQ(edits_of("a\r\nb"), Edits{"normalize.line_ends"});
}

TEST(Normalize, ShrinksWhiteSpaceButKeepsIndentation) {
  EXPECT_EQ(normalized("\n\na  b \u00A0 c  \n\n\n\n  d\t\te \n"), "a b c\n\n  d\te");
  EXPECT_EQ(normalized("  a", "indentation = false"), "a");
  EXPECT_EQ(normalized("　　段落开头缩进。"), "段落开头缩进。");
}

TEST(Normalize, MakesFullWidthLettersOrdinaryButKeepsChinesePunctuation) {
  EXPECT_EQ(normalized("第１２章：ＡＢＣ（完）！"), "第12章：ABC（完）！");
  EXPECT_EQ(normalized("Ｈｅｌｌｏ，ｗｏｒｌｄ！"), "Hello,world!");
  EXPECT_EQ(normalized("한국어（괄호）！"), "한국어(괄호)!");
  EXPECT_EQ(normalized("ｶﾞｲﾄﾞ"), "ガイド");
  EXPECT_EQ(normalized("ジャン＝ジャック"), "ジャン＝ジャック");
}

TEST(Normalize, ComposesAsNfcDoes) {
  EXPECT_EQ(normalized("cafe\u0301"), "café");
  EXPECT_EQ(normalized("か\u3099"), "が");
  EXPECT_EQ(normalized("\u1112\u1161\u11AB"), "한");
  EXPECT_EQ(edits_of("cafe\u0301"), Edits{"normalize.composed"});
}

TEST(Normalize, RemovesBoilerplateLines) {
  const std::string body =
      "The river rises in the hills above the town and runs south for miles, past mills and "
      "villages that its water once drove, until it meets the sea at the old harbour.";
  EXPECT_EQ(normalized("Home | News | Sport | Weather\n" + body + "\nRead more »\n" +
                       "Copyright © 2023 Example Inc. All rights reserved."),
            body);
  const std::string chinese =
      "这条河发源于城市以北的山区，向南流经许多村庄，最后注入大海，全长约一百公里。";
  EXPECT_EQ(normalized(chinese + "\n点击阅读全文\n分享到：微信 微博"),
            chinese + "\n分享到：微信 微博");
  const std::string japanese = "この川は町の北にある山から流れ出し、南へ向かって長く続いている。";
  EXPECT_EQ(normalized(japanese + "\n続きを読む"), japanese);
  const std::string korean = "이 강은 도시 북쪽의 산에서 시작하여 남쪽으로 길게 흐른다.";
  EXPECT_EQ(normalized(korean + "\n무단 전재 및 재배포 금지"), korean);
}

TEST(Normalize, KeepsSentencesThatMentionBoilerplate) {
  for (const char* text :
       {"You have to log in before you can read more about the privacy policy here.",
        "| a | b | c |", "他登录以后阅读全文，然后写下了自己的想法和建议。"}) {
    EXPECT_EQ(normalized(text), text);
  }
}

TEST(Normalize, MasksPersonalDataOnRequest) {
  const std::string mask = "mask = [\"email\", \"phone\", \"identity\", \"card\"]";
  EXPECT_EQ(normalized("Write to jane.doe@example.co.uk."), "Write to jane.doe@example.co.uk.");
  EXPECT_EQ(normalized("Write to jane.doe@example.co.uk.", mask), "Write to [EMAIL].");
  EXPECT_EQ(normalized("电话13812345678，或010-62781234。", mask), "电话[PHONE]，或[PHONE]。");
  EXPECT_EQ(normalized("call (212) 555-0123 or +44 20 7946 0958", mask), "call [PHONE] or [PHONE]");
  EXPECT_EQ(normalized("전화 010-1234-5678", mask), "전화 [PHONE]");
  EXPECT_EQ(normalized("電話は03-1234-5678です", mask), "電話は[PHONE]です");
  EXPECT_EQ(normalized("身份证11010519491231002X", mask), "身份证[ID]");
  EXPECT_EQ(normalized("주민번호 900101-1234568", mask), "주민번호 [ID]");
  EXPECT_EQ(normalized("マイナンバー: 123456789018", mask), "マイナンバー: [ID]");
  EXPECT_EQ(normalized("SSN 078-05-1120", mask), "SSN [ID]");
  EXPECT_EQ(normalized("Visa 4111 1111 1111 1111", mask), "Visa [CARD]");
  EXPECT_EQ(edits_of("a@b.org", mask), Edits{"normalize.masked_email"});
}

TEST(Normalize, MasksNoOrdinaryNumbers) {
  const std::string mask = "mask = [\"email\", \"phone\", \"identity\", \"card\"]";
  for (const char* text :
       {"110105194912310021", "900101-1234567", "4111 1111 1111 1112", "2023-10-12 13:45:07",
        "3.14159265358979", "1234567890123", "ISBN 978-3-16-148410-0", "user@localhost",
        "123456789018", "192.168.100.200"}) {
    EXPECT_EQ(normalized(text, mask), text);
  }
}

TEST(Normalize, ConvertsChineseScriptsOnRequest) {
  EXPECT_EQ(normalized("软件的头发", "chinese = \"traditional\""), "軟件的頭髮");
  EXPECT_EQ(normalized("這個軟體裡的頭髮", "chinese = \"simplified\""), "这个软体里的头发");
  EXPECT_EQ(normalized("日本語の漢字です", "chinese = \"simplified\""), "日本語の漢字です");
}

TEST(Normalize, IsIdempotent) {
  for (const char* text : {"  a\r\n\r\n\r\nＢ（c）\u200B d  ", "cafÃ© e\u0301", "ｶﾞ　１"}) {
    const std::string once = normalized(text);
    EXPECT_EQ(normalized(once), once);
    EXPECT_TRUE(edits_of(once).empty());
  }
}

TEST(Normalize, NamesBadKeys) {
  EXPECT_THROW(stage_of("kind = \"normalize\"\nmask = [\"fax\"]"), Error);
  EXPECT_THROW(stage_of("kind = \"normalize\"\nchinese = \"yes\""), Error);
  EXPECT_THROW(stage_of("kind = \"normalize\"\nmojibak = true"), Error);
}

}  // namespace
}  // namespace tigerbot::data
