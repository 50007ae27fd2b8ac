#include "data/stages/rules.h"

#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <set>

#include "base/error.h"
#include "data/stages/make_stage.h"
#include "data/stages/repetition.h"

namespace tigerbot::data {
namespace {

const std::string kEnglish =
    "The river rises in the hills to the north of the town, where a dozen springs feed a small "
    "lake. "
    "From there it runs south for eighty miles, past mills that its water once drove and villages "
    "that grew up around them, until it meets the sea at the old harbour. Floods were common "
    "before "
    "the dam was built in 1931; since then the meadows below it have been farmed every year.";

const std::string kChinese =
    "这条河发源于城市以北的山区，那里有十几处泉水汇成一个小湖。河水由此向南流了大约一百公里，"
    "经过许多因水力磨坊而兴起的村庄，最后在古老的港口注入大海。水坝建成以前，洪水十分常见；"
    "此后，下游的草地每年都可以耕种。";
const std::string kJapanese =
    "この川は町の北にある丘陵に源を発し、そこでは十数か所の泉が小さな湖を作っている。川はそこから南"
    "へ"
    "百キロほど流れ、かつてその水で動いた水車小屋と、その周りに生まれた村々を通り過ぎて、古い港で海"
    "に注ぐ。"
    "ダムができるまでは洪水が多かったが、それ以後は下流の草地も毎年耕されている。";
const std::string kKorean =
    "이 강은 도시 북쪽의 언덕에서 시작하며, 그곳에서는 열두 개의 샘이 작은 호수를 이룬다. 강은 "
    "거기에서 남쪽으로 "
    "백 킬로미터쯤 흐르면서 한때 그 물로 돌던 물레방아와 그 주위에 생긴 마을들을 지나 오래된 "
    "항구에서 바다와 만난다. "
    "댐이 지어지기 전에는 홍수가 잦았지만 그 뒤로는 하류의 풀밭에서도 해마다 농사를 짓는다.";

std::string reason(const std::string& text, const std::string& language,
                   const std::string& keys = "") {
  Document document = document_of(text, language);
  const auto drop = stage_of("kind = \"rules\"\n" + keys)->apply(document);
  return drop ? drop->reason : "";
}

TEST(Rules, LetGoodTextPassInFourLanguages) {
  EXPECT_EQ(reason(kEnglish, "en"), "");
  EXPECT_EQ(reason(kChinese, "zh"), "");
  EXPECT_EQ(reason(kJapanese, "ja"), "");
  EXPECT_EQ(reason(kKorean, "ko"), "");
  // The kind of text is found where no stage has said the language.
  for (const std::string& text : {kEnglish, kChinese, kJapanese, kKorean})
    EXPECT_EQ(reason(text, ""), "");
}

struct Bad {
  const char* language;
  std::string text;
  const char* reason;
};

std::string repeat(const std::string& text, int times, const std::string& between = "") {
  std::string out;
  for (int k = 0; k < times; ++k) out += text + (k + 1 < times ? between : "");
  return out;
}

TEST(Rules, DropEveryKindOfBadTextWithItsReason) {
  std::string numbers, log, prices, bullets, ellipses;
  for (int k = 0; k < 40; ++k) {
    numbers += "Total " + std::to_string(k * 7919 % 100000) + "\n";
    log += "12:" + std::to_string(10 + k) + " the server said hello to client number seven.\n";
    bullets += "- " + std::string(1, static_cast<char>('a' + k % 26)) +
               " point of the plan that we made today.\n";
    ellipses += std::string(1, static_cast<char>('a' + k % 26)) +
                " story of the town that you have to read...\n";
  }
  const std::vector<Bad> list = {
      {"en", "Too short.", "rules.too_short"},
      {"zh", "太短了。", "rules.too_short"},
      {"en", kEnglish + repeat("\uFFFD", 20), "rules.broken_characters"},
      {"en", repeat("Lorem ipsum dolor sit amet. ", 10), "rules.placeholder"},
      {"en", kEnglish + repeat(" + = $ ", 60), "rules.symbol_ratio"},
      {"en", numbers, "rules.digit_ratio"},
      {"en", kEnglish + repeat(" ; , ) (", 80), "rules.punctuation_ratio"},
      {"en",
       [] {
         std::string t = kEnglish;
         for (char& c : t) c = static_cast<char>(std::toupper(c));
         return t;
       }(),
       "rules.upper_ratio"},
      {"zh", repeat(kEnglish, 2), "rules.foreign_letters"},
      {"en", repeat("aGVsbG8gd29ybGQgdGhpcyBpcyBiYXNlNjQgdGV4dCBvbmx5 ", 12) + kEnglish,
       "rules.word_length"},
      {"zh",
       "为 什 么 听 一 面 之 辞 就 相 信 ？ 只 有 当 事 人 才 能 知 道 吧 ， 咱 们 旁 观 者 并 不 "
       "知 道 真 相 啊 。 因 为 另 一 个 人 。",
       "rules.spaced_characters"},
      {"en",
       "watch shoes bag price hotel flight ticket phone case cover battery screen laptop tablet "
       "camera lens red blue "
       "black leather belt wallet ring gold silver necklace bracelet earring",
       "rules.stop_words"},
      {"ja",
       "携帯電話 電池 画面 時計 革靴 鞄 旅館 航空券 赤 青 黒 本革 卸売 腕時計 財布 指輪 金 銀 首飾 "
       "耳飾 靴下 手袋 帽子 眼鏡 傘",
       "rules.stop_words"},
      {"en", log, "rules.dialogue_lines"},
      {"en", bullets, "rules.bullets"},
      {"en", ellipses, "rules.ellipses"},
      {"en",
       kEnglish + " Buy now and get free shipping! Use the promo code today, limited time offer. "
                  "Shop now!",
       "rules.advertisement"},
      {"zh", kChinese + "厂家直销，量大从优，欢迎来电，咨询热线全天开通，全场包邮。",
       "rules.advertisement"},
      {"ja", kJapanese + "今なら送料無料、期間限定のセール中です。今すぐ登録して無料体験をどうぞ。",
       "rules.advertisement"},
      {"ko",
       kKorean + " 무료배송과 할인쿠폰을 드립니다. 지금 구매하시면 사은품도 드립니다. 카톡 문의 "
                 "환영합니다.",
       "rules.advertisement"},
      {"en",
       "hey dude lol yeah that was so funny i was like omg haha. idk what he said but lmao it was "
       "great. "
       "gonna see you there "
       "dude, thx for the tip and see ya, yeah we had a great time lol.",
       "rules.chat"},
      {"zh",
       "哈哈哈你也来啦，我也是刚到呢。好吧好吧，那我们一起去吃饭吧！今天真的好开心呀，下次还要一起"
       "玩哦。你说是不是呀？",
       "rules.chat"},
      {"ko",
       "오늘 너무 피곤해요. 그래도 운동은 했어요. 내일은 뭐 할까요? 저는 영화 보고 싶어요. 같이 "
       "보면 좋겠네요. 언제 시간이 되나요?",
       "rules.spoken"},
      {"en", kEnglish + " The rest of the story is", ""},
      {"en", kEnglish.substr(0, 300) + "...", "rules.truncated"},
      {"zh", kChinese + "……查看全文", "rules.truncated"},
      {"en", repeat("The committee met on Monday to talk about the bridge.", 8, "\n"),
       "rules.repeated_lines"},
      {"en", repeat("The committee met on Monday to talk about the bridge. ", 8),
       "rules.repeated_ngrams"},
      {"zh", repeat("委员会星期一开会讨论了修建新桥的计划。", 8), "rules.repeated_ngrams"},
  };
  for (const Bad& bad : list)
    EXPECT_EQ(reason(bad.text, bad.language), bad.reason) << bad.text.substr(0, 200);
}

TEST(Rules, DropMarkup) {
  std::string html;
  for (int k = 0; k < 20; ++k)
    html += "<p class=\"body\">The river rises in the hills of the north.</p>\n";
  EXPECT_EQ(
      reason(html, "en", "disable = [\"repeated_lines\", \"repeated_ngrams\", \"symbol_ratio\"]"),
      "rules.markup");
}

TEST(Rules, TakeLimitsForAllAndByLanguage) {
  EXPECT_EQ(reason(kEnglish, "en", "[limits]\nmin_characters = 10000"), "rules.too_short");
  EXPECT_EQ(reason(kEnglish, "en", "[languages.en]\nmin_characters = 10000"), "rules.too_short");
  EXPECT_EQ(reason(kChinese, "zh", "[languages.en]\nmin_characters = 10000"), "");
  EXPECT_EQ(reason("This is too short.", "en",
                   "[limits]\nmin_characters = false\nmin_letter_ratio = false"),
            "");
  EXPECT_EQ(reason("This is too short.", "en", "disable = [\"too_short\"]"), "");
}

TEST(Rules, NameBadKeys) {
  EXPECT_THROW(stage_of("kind = \"rules\"\n[limits]\nmin_charakters = 3"), Error);
  EXPECT_THROW(stage_of("kind = \"rules\"\n[limits]\nmin_characters = \"many\""), Error);
  EXPECT_THROW(stage_of("kind = \"rules\"\ndisable = [\"too_shor\"]"), Error);
}

TEST(Rules, GiveValueAndThreshold) {
  Document document = document_of("Too short.", "en");
  const auto drop = stage_of("kind = \"rules\"")->apply(document);
  ASSERT_TRUE(drop);
  EXPECT_EQ(drop->value, 9);
  EXPECT_EQ(drop->threshold, 120);
}

/// Gopher's measures of repetition, written down plainly.
TEST(Repetition, AgreesWithAPlainCount) {
  const std::vector<int> words = {1, 2, 3, 4, 5, 6, 1, 2, 3, 4, 5, 6, 7, 8, 1, 2, 3, 4, 5, 9, 1, 2};
  std::vector<Token> tokens;
  for (const int word : words)
    tokens.push_back({static_cast<std::uint64_t>(word) * 0x9E3779B97F4A7C15u, 1});
  const Repetition measured = repetition(tokens, 1);
  const double total = static_cast<double>(words.size());
  for (std::size_t n = 2; n <= 4; ++n) {
    std::map<std::vector<int>, int> counts;
    int most = 0;
    for (std::size_t k = 0; k + n <= words.size(); ++k)
      most = std::max(most, ++counts[{words.begin() + static_cast<long>(k),
                                      words.begin() + static_cast<long>(k + n)}]);
    EXPECT_NEAR(measured.top[n - 2], most * static_cast<double>(n) / total, 1e-12);
  }
  for (std::size_t n = 5; n <= 10; ++n) {
    std::set<std::vector<int>> seen;
    double repeated = 0;
    for (std::size_t k = 0; k + n <= words.size();) {
      const bool fresh = seen.insert({words.begin() + static_cast<long>(k),
                                      words.begin() + static_cast<long>(k + n)})
                             .second;
      repeated += fresh ? 0 : static_cast<double>(n);
      k += fresh ? 1 : n;
    }
    EXPECT_NEAR(measured.repeated[n - 5], repeated / total, 1e-12) << n;
  }
}

/// Share of the paragraphs of a SQuAD-like file beside the checkout that pass the whole chain.
double share_that_passes(const std::string& path) {
  std::ifstream file(path);
  const Json root = Json::parse(file);
  const auto normalize = stage_of("kind = \"normalize\""),
             language = stage_of("kind = \"language\""), rules = stage_of("kind = \"rules\"");
  double all = 0, passed = 0;
  std::set<std::string> seen;
  for (const Json& article : root.at("data"))
    for (const Json& paragraph : article.at("paragraphs")) {
      std::string text = paragraph.at("context");
      if (const auto title = text.find("[SEP]"); title != std::string::npos)
        text.erase(0, title + 6);
      if (!seen.insert(text).second) continue;
      Document document = document_of(text);
      ++all;
      passed +=
          !normalize->apply(document) && !language->apply(document) && !rules->apply(document);
    }
  return passed / all;
}

TEST(Rules, LetEncyclopediaParagraphsPass) {
  const std::string shared = std::string(TIGERBOT_SOURCE_DIR) + "/../shared/";
  bool any = false;
  for (const char* name :
       {"benchmarks/squad2_dev.json", "benchmarks/cmrc2018_dev.squad-style.json",
        "data/text/zh/drcd/DRCD_dev.json", "data/text/ja/jglue/jsquad-v1.3-valid.json"}) {
    if (!std::filesystem::exists(shared + name)) continue;
    any = true;
    EXPECT_GE(share_that_passes(shared + name), 0.965) << name;
  }
  if (!any) GTEST_SKIP() << "the public question sets are not beside the checkout";
}

}  // namespace
}  // namespace tigerbot::data
