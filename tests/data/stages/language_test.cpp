#include "data/stages/language.h"

#include <gtest/gtest.h>

#include "data/stages/make_stage.h"

namespace tigerbot::data {
namespace {

std::string language_of(std::string_view text) { return detect_language(text).language; }

double share_of(const DetectedLanguage& detected, std::string_view language) {
  for (const LanguageShare& part : detected.shares)
    if (part.language == language) return part.share;
  return 0;
}

TEST(Language, TellsShortTextsApart) {
  EXPECT_EQ(language_of("你好吗"), "zh");
  EXPECT_EQ(language_of("这个软件很好"), "zh");
  EXPECT_EQ(language_of("這個軟體很好"), "zh-Hant");
  EXPECT_EQ(language_of("東京駅の前"), "ja");
  EXPECT_EQ(language_of("ありがとう"), "ja");
  EXPECT_EQ(language_of("東京駅周辺図"), "ja");
  EXPECT_EQ(language_of("안녕하세요"), "ko");
  EXPECT_EQ(language_of("大韓民國의 歷史"), "ko");
  EXPECT_EQ(language_of("What is that, and who are you?"), "en");
}

TEST(Language, TellsEuropeanLanguagesApart) {
  EXPECT_EQ(language_of("Der Fluss entspringt in den Bergen und fließt nach Süden."), "de");
  EXPECT_EQ(language_of("La rivière prend sa source dans les montagnes du nord du pays."), "fr");
  EXPECT_EQ(language_of("El río nace en las montañas y corre hacia el sur del país."), "es");
  EXPECT_EQ(language_of("Река берёт начало в горах и течёт на юг через всю страну."), "ru");
}

TEST(Language, KeepsJapaneseHeadingsWithTheirText) {
  const auto detected = detect_language(
      "概要\n\nこの文書はシステムの使い方を説明するものです。\n\n第一章 基本操作\n");
  EXPECT_EQ(detected.language, "ja");
  EXPECT_GT(share_of(detected, "ja"), 0.95);
}

TEST(Language, ForeignWordsBelongToTheSentenceAroundThem) {
  const auto detected =
      detect_language("我们使用 Debian GNU/Linux 系统来运行 PostgreSQL 数据库，这样比较稳定。");
  EXPECT_EQ(detected.language, "zh");
  EXPECT_GT(share_of(detected, "zh"), 0.95);
}

TEST(Language, GivesTheSharesOfAMixedDocument) {
  const auto detected = detect_language(
      "这条河发源于城市以北的山区，向南流经许多村庄，最后注入大海。\n"
      "The river rises in the hills to the north of the city and runs south past many villages "
      "until it reaches the sea.\n");
  EXPECT_NEAR(share_of(detected, "zh"), 0.5, 0.15);
  EXPECT_NEAR(share_of(detected, "en"), 0.5, 0.15);
}

TEST(Language, KnowsNothingOfNumbers) {
  EXPECT_EQ(language_of("12345 67890\n3.14"), "");
  EXPECT_EQ(language_of(""), "");
}

TEST(LanguageStage, FillsTheDocumentAndKeepsAListedLanguage) {
  Document document = document_of("这个软件很好，我们都喜欢用它。");
  EXPECT_FALSE(stage_of("kind = \"language\"\nkeep = [\"zh\", \"en\"]")->apply(document));
  EXPECT_EQ(document.language, "zh");
  EXPECT_GT(document.scores.at("language"), 0.8);
}

TEST(LanguageStage, DropsWhatIsNotKeptMixedOrUncertain) {
  const auto reason = [](std::string text, const std::string& keys) {
    Document document = document_of(std::move(text));
    const auto drop = stage_of("kind = \"language\"\n" + keys)->apply(document);
    return drop ? drop->reason : "";
  };
  const std::string mixed =
      "这条河发源于城市以北的山区，向南流经许多村庄，最后注入大海。\n"
      "The river rises in the hills to the north of the city and runs south past many villages "
      "until it reaches the sea.\n";
  EXPECT_EQ(reason("這個軟體很好", "keep = [\"zh\"]"), "language.not_kept");
  EXPECT_EQ(reason("12345", ""), "language.uncertain");
  EXPECT_EQ(reason(mixed, "min_share = 0.8"), "language.mixed");
  EXPECT_EQ(reason(mixed, "min_share = 0.8\nkeep = [\"zh\", \"en\"]"), "");
}

TEST(LanguageStage, BelievesTheSourceUnlessToldOtherwise) {
  Document document = document_of("12345", "ko");
  EXPECT_FALSE(stage_of("kind = \"language\"")->apply(document));
  EXPECT_EQ(document.language, "ko");
  Document other = document_of("这个软件很好，我们都喜欢用它。", "ko");
  EXPECT_FALSE(stage_of("kind = \"language\"\ntrust_source = false")->apply(other));
  EXPECT_EQ(other.language, "zh");
}

}  // namespace
}  // namespace tigerbot::data
