#include <CLI/App.hpp>
#include <cstdio>
#include <memory>

#include "base/progress.h"
#include "base/text.h"
#include "cli/commands.h"
#include "cli/options.h"
#include "data/stages/train_quality.h"

namespace tigerbot {
namespace {

struct TrainQualityOptions {
  data::QualityTraining training;
  std::string output;
  bool json = false;
};

void print(const data::QualityReport& report, bool json) {
  if (json) {
    nlohmann::ordered_json thresholds = nlohmann::ordered_json::array();
    for (const auto& each : report.thresholds)
      thresholds.push_back({{"kept", each.kept},
                            {"threshold", each.threshold},
                            {"dropped_others", each.dropped_others}});
    print_json({{"training_documents", report.training_documents},
                {"validation_documents", report.validation_documents},
                {"bad_rows", report.bad_rows},
                {"labels", report.labels},
                {"positive", report.positive},
                {"precision", report.precision},
                {"recall", report.recall},
                {"accuracy", report.accuracy},
                {"auc", report.auc},
                {"thresholds", thresholds}});
    return;
  }
  std::printf("trained on %s documents, tried on %s others\n",
              format_count(report.training_documents).c_str(),
              format_count(report.validation_documents).c_str());
  if (report.bad_rows > 0)
    std::printf("left out: %s rows that could not be read\n",
                format_count(report.bad_rows).c_str());
  if (report.validation_documents == 0) return;
  std::printf(
      "\"%s\" at 0.5: precision %.3f, recall %.3f; accuracy %.3f, area under the ROC curve %.3f\n",
      report.positive.c_str(), report.precision, report.recall, report.accuracy, report.auc);
  for (const auto& each : report.thresholds)
    std::printf("min_score = %.3f keeps %.0f%% of \"%s\" and drops %.1f%% of the others\n",
                each.threshold, 100 * each.kept, report.positive.c_str(),
                100 * each.dropped_others);
}

void run(const TrainQualityOptions& options) {
  Progress progress("training", 100, {});
  const auto report = data::train_quality(options.training, options.output, [&](double share) {
    progress.set_done(static_cast<std::uint64_t>(100 * share));
  });
  progress.finish();
  print(report, options.json);
}

}  // namespace

void add_data_train_quality_command(CLI::App& data) {
  auto options = std::make_shared<TrainQualityOptions>();
  data::QualityTraining& training = options->training;
  CLI::App& command =
      *data.add_subcommand("train-quality", "Train a fastText model that tells good text from bad");
  command.add_option("MODEL", options->output, "The model file to write, for `kind = \"quality\"`")
      ->required();
  command.add_option("--good", training.good, "Files, folders or globs of good documents");
  command.add_option("--bad", training.bad, "Files, folders or globs of bad documents");
  command.add_option("--labelled", training.labelled,
                     "Files whose rows carry a label; in place of --good and --bad or with them");
  command.add_option("--text-field", training.text_field, "Field of a row that holds the text")
      ->capture_default_str();
  command.add_option("--label-field", training.label_field, "Field of a row that holds its label")
      ->capture_default_str();
  command.add_option(
      "--good-label", training.good_labels,
      "Labels that count as \"good\", all others as \"bad\" (default: keep all labels)");
  command.add_option("--validation", training.validation, "Share of the documents held out")
      ->capture_default_str();
  command
      .add_option("--piece-characters", training.most_characters,
                  "Cut longer documents into pieces of about so many characters (0: never)")
      ->capture_default_str();
  command.add_option("--dimension", training.classifier.dimension, "Width of the vectors")
      ->capture_default_str();
  command.add_option("--epochs", training.classifier.epochs, "Passes over the documents")
      ->capture_default_str();
  command
      .add_option("--learning-rate", training.classifier.learning_rate, "Step size at the start")
      ->capture_default_str();
  command
      .add_option("--word-ngrams", training.classifier.word_ngrams,
                  "Longest n-gram, of words or (Chinese, Japanese, Korean) of characters")
      ->capture_default_str();
  command.add_option("--buckets", training.classifier.buckets, "Hash buckets of n-grams")
      ->capture_default_str();
  command.add_option("--min-count", training.classifier.min_count, "Rarer tokens have no vector")
      ->capture_default_str();
  command.add_option("--seed", training.classifier.seed, "Of the order and the held-out share")
      ->capture_default_str();
  command.add_flag("--json", options->json, "Print one JSON object");
  command.footer(
      "Example:\n"
      "  tigerbot data train-quality quality.bin --good handbook.jsonl --bad chat.jsonl\n"
      "  then, in a recipe: [[stage]]  kind = \"quality\"  model = \"quality.bin\"  min_score = "
      "0.5");
  command.callback([options] { run(*options); });
}

}  // namespace tigerbot
