#include "data/stages/train_quality.h"

#include <algorithm>

#include "base/error.h"
#include "base/hash.h"
#include "base/text.h"
#include "data/reader.h"
#include "data/stage.h"

namespace tigerbot::data {
namespace {

struct Set {
  std::vector<LabelledText> training, validation;
  std::uint64_t bad_rows = 0;
};

/// Documents are normalized as a run would: a model must not learn line ends or widths.
std::unique_ptr<DocumentStage> normalization() {
  const Json settings = {{"kind", "normalize"}};
  JsonReader reader(settings, "training");
  return make_document_stage(reader);
}

class Collector {
 public:
  Collector(const QualityTraining& training, Set& set) : training_(training), set_(set) {}

  /// The documents of `files`; with an empty label each row names its own.
  void add(const std::vector<std::string>& files, std::string_view label) {
    for (const auto& file : find_inputs(files)) {
      ReaderOptions options;
      options.text_field = training_.text_field;
      options.on_bad_input = [&](const BadInput&) { ++set_.bad_rows; };
      const auto reader = open_reader(file, options);
      while (auto document = reader->next()) {
        const std::string own =
            label.empty() ? label_of(*document, file.string()) : std::string(label);
        normalize_->apply(*document);
        add_pieces(document->text, own);
      }
    }
  }

 private:
  std::string label_of(const Document& document, const std::string& file) const {
    const auto place = [&] {
      return fmt::format("{}: row {}: \"{}\"", file, document.origin.row, training_.label_field);
    };
    if (!document.metadata.is_object() || !document.metadata.contains(training_.label_field))
      fail("{} is missing; labelled rows need it (--label-field names another)", place());
    const Json& value = document.metadata.at(training_.label_field);
    if (!value.is_string() && !value.is_number_integer() && !value.is_boolean())
      fail("{} must be a string, an integer or a truth value", place());
    std::string label = value.is_string() ? value.get<std::string>() : value.dump();
    if (training_.good_labels.empty()) return label;
    const auto& good = training_.good_labels;
    return std::find(good.begin(), good.end(), label) != good.end() ? "good" : "bad";
  }

  void add_pieces(std::string_view text, const std::string& label) {
    const std::size_t most = training_.most_characters * 2;  // bytes, between one and three each
    while (most > 0 && text.size() > most) {
      std::size_t cut = text.rfind('\n', most);
      if (cut == std::string_view::npos || cut < most / 2) cut = text.find('\n', most);
      if (cut == std::string_view::npos) break;
      add_text(text.substr(0, cut), label);
      text.remove_prefix(cut + 1);
    }
    add_text(text, label);
  }

  void add_text(std::string_view text, const std::string& label) {
    if (trim(text).empty()) return;
    // The hash decides, so that a text that comes twice is not on both sides.
    const double place =
        static_cast<double>(hash128(text, training_.classifier.seed).low >> 11) * 0x1p-53;
    auto& list = place < training_.validation ? set_.validation : set_.training;
    list.push_back({std::string(text), label});
  }

  const QualityTraining& training_;
  Set& set_;
  const std::unique_ptr<DocumentStage> normalize_ = normalization();
};

/// Fills the report from (probability, is positive) of the held-out documents.
void evaluate(std::vector<std::pair<double, bool>> scored, QualityReport& report) {
  std::uint64_t positives = 0, taken = 0, right = 0, correct = 0;
  for (const auto& [score, positive] : scored) {
    positives += positive;
    taken += score >= 0.5;
    right += score >= 0.5 && positive;
    correct += (score >= 0.5) == positive;
  }
  const std::uint64_t others = scored.size() - positives;
  const auto ratio = [](std::uint64_t part, std::uint64_t whole) {
    return whole == 0 ? 0.0 : static_cast<double>(part) / static_cast<double>(whole);
  };
  report.precision = ratio(right, taken);
  report.recall = ratio(right, positives);
  report.accuracy = ratio(correct, scored.size());
  std::sort(scored.begin(), scored.end());
  // Pairs of a positive and another in the right order; ties count half.
  double pairs = 0;
  std::uint64_t others_below = 0;
  for (std::size_t k = 0; k < scored.size();) {
    std::uint64_t tied_positive = 0, tied_other = 0;
    const double score = scored[k].first;
    for (; k < scored.size() && scored[k].first == score; ++k)
      (scored[k].second ? tied_positive : tied_other) += 1;
    pairs += static_cast<double>(tied_positive) *
             (static_cast<double>(others_below) + 0.5 * static_cast<double>(tied_other));
    others_below += tied_other;
  }
  if (positives > 0 && others > 0)
    report.auc = pairs / (static_cast<double>(positives) * static_cast<double>(others));
  std::vector<double> positive_scores;
  for (const auto& [score, positive] : scored)
    if (positive) positive_scores.push_back(score);
  if (positive_scores.empty()) return;
  for (const double kept : {0.99, 0.95, 0.9}) {
    const auto at =
        static_cast<std::size_t>((1 - kept) * static_cast<double>(positive_scores.size()));
    const double threshold = positive_scores[std::min(at, positive_scores.size() - 1)];
    std::uint64_t dropped = 0;
    for (const auto& [score, positive] : scored) dropped += !positive && score < threshold;
    report.thresholds.push_back({kept, threshold, ratio(dropped, others)});
  }
}

}  // namespace

QualityReport train_quality(const QualityTraining& training, const std::filesystem::path& model,
                            const std::function<void(double)>& on_progress) {
  if (training.validation < 0 || training.validation >= 1)
    fail("the share of validation must be at least 0 and below 1, not {}", training.validation);
  Set set;
  Collector collector(training, set);
  collector.add(training.good, "good");
  collector.add(training.bad, "bad");
  collector.add(training.labelled, "");
  train_text_classifier(set.training, training.classifier, model, on_progress);

  const TextClassifier classifier(model);
  QualityReport report;
  report.training_documents = set.training.size();
  report.validation_documents = set.validation.size();
  report.bad_rows = set.bad_rows;
  report.labels = classifier.labels();
  std::sort(report.labels.begin(), report.labels.end());
  const bool has_good =
      std::find(report.labels.begin(), report.labels.end(), "good") != report.labels.end();
  report.positive = has_good ? "good" : report.labels.front();
  std::vector<std::pair<double, bool>> scored;
  for (const LabelledText& text : set.validation)
    scored.emplace_back(classifier.probability(text.text, report.positive),
                        text.label == report.positive);
  evaluate(std::move(scored), report);
  return report;
}

}  // namespace tigerbot::data
