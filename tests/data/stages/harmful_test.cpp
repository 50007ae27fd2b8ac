#include "data/stages/harmful.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>

#include "base/error.h"
#include "base/files.h"
#include "data/stages/make_stage.h"
#include "data/stages/text_classifier.h"

namespace tigerbot::data {
namespace {

class Harmful : public testing::Test {
 protected:
  Harmful() {
    create_folders(folder_);
    write_file(
        folder_ / "words.txt",
        "# a comment\n赌博网站\tgambling\t2\n博彩\tgambling\nviagra\tdrugs\t3\nbad word\n\n");
  }
  ~Harmful() override { std::filesystem::remove_all(folder_); }

  std::string dictionary(const std::string& more = "") const {
    return "kind = \"harmful\"\n" + more + "\n[[dictionary]]\npath = \"" +
           (folder_ / "words.txt").string() + "\"\n";
  }
  std::string classifier(const std::string& name) const {
    return "[[classifier]]\nkind = \"fasttext\"\nname = \"" + name + "\"\nmodel = \"" +
           (folder_ / "harm.bin").string() + "\"\n";
  }
  void train() const {
    std::vector<LabelledText> texts;
    for (int k = 0; k < 100; ++k) {
      texts.push_back({"you are a stupid idiot and I hate you", "harmful"});
      texts.push_back({"the weather is fine and we walk in the park", "harmless"});
    }
    ClassifierTraining settings;
    settings.buckets = 256;
    train_text_classifier(texts, settings, folder_ / "harm.bin");
  }

  const std::filesystem::path folder_ =
      std::filesystem::temp_directory_path() / ("tigerbot-harmful-" + std::to_string(::getpid()));
};

TEST_F(Harmful, ReadsWordsCategoriesAndWeights) {
  const auto words = read_word_list(folder_ / "words.txt", "other", 0.5);
  ASSERT_EQ(words.size(), 4u);
  EXPECT_EQ(words[0].word, "赌博网站");
  EXPECT_EQ(words[0].category, "gambling");
  EXPECT_EQ(words[0].weight, 2);
  EXPECT_EQ(words[1].weight, 0.5);
  EXPECT_EQ(words[3].word, "bad word");
  EXPECT_EQ(words[3].category, "other");
  write_file(folder_ / "wrong.txt", "word\tcategory\theavy\n");
  EXPECT_THROW(read_word_list(folder_ / "wrong.txt", "", 1), Error);
}

TEST_F(Harmful, CountsTheLongestOfOverlappingWords) {
  const HarmDictionary dictionary({{"赌博", "a", 1}, {"赌博网站", "b", 2}, {"网站", "c", 1}});
  const DictionaryFinding finding = dictionary.find("一个赌博网站，还有赌博");
  EXPECT_EQ(finding.hits, 2u);
  EXPECT_EQ(finding.weight, 3);
  EXPECT_EQ(finding.categories.at("b"), 2);
}

TEST_F(Harmful, DropsDenseTextAndSaysWhy) {
  const auto stage = stage_of(dictionary());
  Document bad = document_of("最好的賭.博.網.站，ＶＩＡＧＲＡ，博彩");
  const auto drop = stage->apply(bad);
  ASSERT_TRUE(drop);
  EXPECT_EQ(drop->reason, "harmful.dictionary");
  EXPECT_NE(drop->detail.find("gambling 3.0"), std::string::npos) << drop->detail;
  EXPECT_NE(drop->detail.find("drugs 3.0"), std::string::npos);
  EXPECT_GT(bad.scores.at("harm"), 0.5);
  // One word in a long text is no reason, nor are two in a very long one.
  Document single = document_of("关于博彩业的研究。");
  EXPECT_FALSE(stage->apply(single));
  std::string text;
  for (int k = 0; k < 200; ++k) text += "这是一段很普通的文字，";
  Document thin = document_of(text + "博彩和博彩");
  EXPECT_FALSE(stage->apply(thin));
}

TEST_F(Harmful, WeighsCategoriesAnew) {
  const std::string text = "博彩博彩博彩博彩";
  Document document = document_of(text);
  EXPECT_TRUE(stage_of(dictionary())->apply(document));
  EXPECT_FALSE(stage_of(dictionary() + "[categories]\ngambling = 0\n")->apply(document));
  EXPECT_THROW(stage_of(dictionary() + "[categories]\ngamblin = 0\n"), Error);
}

TEST_F(Harmful, CombinesClassifiersWithTheDictionary) {
  train();
  const std::string insult = "you are a stupid idiot";
  const auto alone = stage_of("kind = \"harmful\"\n" + classifier("one"));
  Document document = document_of(insult);
  const auto drop = alone->apply(document);
  ASSERT_TRUE(drop);
  EXPECT_EQ(drop->reason, "harmful.score");
  EXPECT_GT(document.scores.at("harm_one"), 0.5);
  Document kind = document_of("we walk in the park");
  EXPECT_FALSE(alone->apply(kind));
  // The mean with a dictionary that found nothing halves it; the maximum does not; a cascade
  // does not even ask.
  Document mean = document_of(insult), most = document_of(insult), cascade = document_of(insult);
  EXPECT_FALSE(stage_of(dictionary() + classifier("one"))->apply(mean));
  EXPECT_TRUE(stage_of(dictionary("combine = \"max\"") + classifier("one"))->apply(most));
  EXPECT_FALSE(stage_of(dictionary("combine = \"cascade\"") + classifier("one"))->apply(cascade));
  EXPECT_EQ(cascade.scores.count("harm_one"), 0u);
}

TEST_F(Harmful, TakesUpToThreeClassifiers) {
  train();
  std::string three = "kind = \"harmful\"\n" + classifier("a") + classifier("b") + classifier("c");
  Document document = document_of("you are a stupid idiot");
  EXPECT_TRUE(stage_of(three)->apply(document));
  EXPECT_EQ(document.scores.count("harm_c"), 1u);
  EXPECT_THROW(stage_of(three + classifier("d")), Error);
}

TEST_F(Harmful, NamesWhatIsWrong) {
  EXPECT_THROW(stage_of("kind = \"harmful\""), Error);
  EXPECT_THROW(stage_of(dictionary("combine = \"sum\"")), Error);
  EXPECT_THROW(stage_of(dictionary("combine = \"cascade\"")), Error);
  EXPECT_THROW(stage_of("kind = \"harmful\"\n[[dictionary]]\npath = \"/nowhere.txt\""), Error);
}

}  // namespace
}  // namespace tigerbot::data
