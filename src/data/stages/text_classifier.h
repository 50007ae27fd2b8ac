#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

/// fastText (Joulin et al. 2016, "Bag of Tricks for Efficient Text Classification") as a classifier
/// of documents in any language.
namespace tigerbot::data {

/// A text as the tokens that the classifier sees, between spaces: words in lower case, every
/// ideograph, kana and Hangul syllable on its own (n-grams of tokens then are n-grams of
/// characters), runs of digits as "0", punctuation and symbols one by one, ends of lines as "<n>".
/// At most `most_tokens`, from the beginning of the text.
std::string classifier_tokens(std::string_view text, std::size_t most_tokens = 2000);

/// A trained model; safe for many threads.
class TextClassifier {
 public:
  /// Reads a fastText model (.bin, .ftz). An Error if the file is none or is damaged.
  explicit TextClassifier(const std::filesystem::path& path);
  ~TextClassifier();
  TextClassifier(TextClassifier&&) noexcept;

  const std::vector<std::string>& labels() const { return labels_; }
  /// Probability of a label: 0 to 1. An Error if the model has no such label.
  double probability(std::string_view text, std::string_view label) const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
  std::vector<std::string> labels_;
};

struct LabelledText {
  std::string text, label;
};

struct ClassifierTraining {
  int dimension = 16;
  int epochs = 5;
  double learning_rate = 0.3;
  int word_ngrams = 3;
  int buckets = 1 << 18;  ///< of hashed n-grams
  int min_count = 2;      ///< rarer tokens are known by their n-grams alone
  std::uint64_t seed = 0;
};

/// Trains on the texts and writes a model. One thread, so that the same texts and settings always
/// give the same bytes. `on_progress` gets the share that is done. An Error if there are not at
/// least two labels with a text each.
void train_text_classifier(const std::vector<LabelledText>& texts,
                           const ClassifierTraining& settings, const std::filesystem::path& model,
                           const std::function<void(double)>& on_progress = {});

}  // namespace tigerbot::data
