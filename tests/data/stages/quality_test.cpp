#include "data/stages/quality.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "base/error.h"
#include "base/files.h"
#include "base/random.h"
#include "data/stages/make_stage.h"
#include "data/stages/text_classifier.h"
#include "data/stages/train_quality.h"

namespace tigerbot::data {
namespace {

class Quality : public testing::Test {
 protected:
  Quality() {
    create_folders(folder_);
    RandomStream random{3, 0};
    const std::vector<std::string> good = {
        "the committee reviewed the report with care", "委员会认真地审阅了这份报告",
        "委員会は報告書を詳しく検討した", "위원회는 보고서를 자세히 검토하였다"};
    const std::vector<std::string> bad = {"lol omg so cheap buy buy", "哈哈哈快来买呀便宜死了",
                                          "マジやばい安いよ買って", "ㅋㅋㅋ 대박 싸다 사라"};
    std::string good_rows, bad_rows;
    for (int k = 0; k < 400; ++k) {
      std::string a, b;
      for (int n = 0; n < 4; ++n) {
        a += good[random.below(good.size())] + ". ";
        b += bad[random.below(bad.size())] + " ";
      }
      good_rows += Json{{"text", a}}.dump() + "\n";
      bad_rows += Json{{"text", b}}.dump() + "\n";
    }
    write_file(folder_ / "good.jsonl", good_rows);
    write_file(folder_ / "bad.jsonl", bad_rows);
  }
  ~Quality() override { std::filesystem::remove_all(folder_); }

  QualityReport train(const std::string& name) const {
    QualityTraining training;
    training.good = {(folder_ / "good.jsonl").string()};
    training.bad = {(folder_ / "bad.jsonl").string()};
    training.classifier.buckets = 4096;
    training.classifier.min_count = 1;
    return train_quality(training, folder_ / name);
  }

  const std::filesystem::path folder_ =
      std::filesystem::temp_directory_path() / ("tigerbot-quality-" + std::to_string(::getpid()));
};

TEST_F(Quality, LearnsGoodFromBadInFourLanguages) {
  const QualityReport report = train("model.bin");
  EXPECT_GT(report.validation_documents, 20u);
  EXPECT_GT(report.auc, 0.99);
  EXPECT_EQ(report.positive, "good");
  const auto stage =
      stage_of("kind = \"quality\"\nmodel = \"" + (folder_ / "model.bin").string() + "\"");
  for (const char* text :
       {"the committee reviewed the report", "委员会审阅了报告", "委員会は検討した"}) {
    Document document = document_of(text);
    EXPECT_FALSE(stage->apply(document)) << text;
    EXPECT_GT(document.scores.at("quality"), 0.5);
  }
  for (const char* text : {"omg lol so cheap", "哈哈哈便宜死了", "やばい安いよ", "ㅋㅋㅋ 대박"}) {
    Document document = document_of(text);
    const auto drop = stage->apply(document);
    ASSERT_TRUE(drop) << text;
    EXPECT_EQ(drop->reason, "quality.low");
    EXPECT_EQ(drop->threshold, 0.5);
  }
}

TEST_F(Quality, TrainsToTheSameBytes) {
  train("one.bin");
  train("two.bin");
  EXPECT_EQ(read_file(folder_ / "one.bin"), read_file(folder_ / "two.bin"));
}

TEST_F(Quality, TakesThresholdsByLanguage) {
  train("model.bin");
  const auto stage = stage_of("kind = \"quality\"\nmodel = \"" + (folder_ / "model.bin").string() +
                              "\"\n[languages]\nko = 0.0");
  Document korean = document_of("ㅋㅋㅋ 대박", "ko"), english = document_of("omg lol", "en");
  EXPECT_FALSE(stage->apply(korean));
  EXPECT_TRUE(stage->apply(english));
}

TEST_F(Quality, ReadsLabelledRows) {
  write_file(
      folder_ / "rows.jsonl",
      "{\"text\":\"fine words here\",\"stars\":5}\n{\"text\":\"awful words there\",\"stars\":1}\n"
      "{\"text\":\"fine words again\",\"stars\":4}\n");
  QualityTraining training;
  training.labelled = {(folder_ / "rows.jsonl").string()};
  training.label_field = "stars";
  training.good_labels = {"4", "5"};
  training.validation = 0;
  training.classifier.buckets = 64;
  const QualityReport report = train_quality(training, folder_ / "labelled.bin");
  EXPECT_EQ(report.labels, (std::vector<std::string>{"bad", "good"}));
  training.label_field = "star";
  EXPECT_THROW(train_quality(training, folder_ / "labelled.bin"), Error);
}

TEST_F(Quality, NamesWhatIsWrong) {
  write_file(folder_ / "broken.bin", "not a model");
  EXPECT_THROW(
      stage_of("kind = \"quality\"\nmodel = \"" + (folder_ / "broken.bin").string() + "\""), Error);
  EXPECT_THROW(stage_of("kind = \"quality\"\nmodel = \"/nowhere/model.bin\""), Error);
  EXPECT_THROW(stage_of("kind = \"quality\""), Error);
  QualityTraining training;
  training.good = {(folder_ / "good.jsonl").string()};
  EXPECT_THROW(train_quality(training, folder_ / "model.bin"), Error);
}

TEST(ClassifierTokens, CutsCjkIntoCharactersAndOthersIntoWords) {
  EXPECT_EQ(classifier_tokens("Hello, 世界 2023!\n한국"), "hello , 世 界 0 ! <n> 한 국");
  EXPECT_EQ(classifier_tokens("a b c", 2), "a b");
  EXPECT_EQ(classifier_tokens("__label__good"), "_ _ label _ _ good");
}

}  // namespace
}  // namespace tigerbot::data
