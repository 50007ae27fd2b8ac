#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "data/stages/text_classifier.h"

namespace tigerbot::data {

struct QualityTraining {
  std::vector<std::string> good, bad;  ///< files, folders and globs, every document of one label
  std::vector<std::string> labelled;   ///< files whose rows name their label
  std::string text_field = "text";
  std::string label_field = "label";
  /// Labels of labelled rows that count as "good", all others as "bad"; none: labels stay as they
  /// are, and there may be more than two.
  std::vector<std::string> good_labels;
  double validation = 0.1;  ///< share held out, by the hash of the text
  std::size_t most_characters =
      0;  ///< longer documents are cut into pieces of about so many; 0: no
  ClassifierTraining classifier;
};

/// How the held-out documents fared; of the label "good" where there is one, else of the first.
struct QualityReport {
  std::uint64_t training_documents = 0, validation_documents = 0;
  std::vector<std::string> labels;
  std::string positive;
  double precision = 0, recall = 0, accuracy = 0;  ///< at a probability of 0.5
  double auc = 0;                                  ///< area under the ROC curve
  std::uint64_t bad_rows = 0;
  /// Thresholds that keep 99%, 95% and 90% of the positive documents, and the share of the others
  /// that they drop.
  struct Threshold {
    double kept, threshold, dropped_others;
  };
  std::vector<Threshold> thresholds;
};

/// Trains a quality model and writes it to `model`. An Error if a file can't be read or a label
/// has no document.
QualityReport train_quality(const QualityTraining& training, const std::filesystem::path& model,
                            const std::function<void(double)>& on_progress = {});

}  // namespace tigerbot::data
