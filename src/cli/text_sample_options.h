#pragma once

#include <CLI/App.hpp>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/json.h"
#include "base/progress.h"
#include "data/text_sample.h"
#include "tokenizer/training/word_counter.h"

namespace tigerbot {

/// Files to sample text from, --sample-bytes and --shares: the same words in every command.
struct TextSampleFlags {
  std::vector<std::string> files;
  std::uint64_t sample_bytes = 0;
  std::vector<std::string> shares;
  std::uint64_t seed = 0;

  /// Adds all but the files, which each command names in its own way.
  void add(CLI::App& command);
};

/// A sample that is read under a progress bar; unreadable rows are passed over and counted.
class ShownSample {
 public:
  ShownSample(const TextSampleFlags& flags, const std::string& label);
  std::optional<data::Document> next();
  /// Ends the bar.
  void finish();
  /// What was drawn, by language, and bad rows.
  nlohmann::ordered_json report() const;
  /// The same for people, on stderr.
  void print_report() const;
  std::uint64_t texts() const;

 private:
  std::unique_ptr<Progress> progress_;
  std::uint64_t bad_rows_ = 0;
  std::string first_bad_;
  std::unique_ptr<data::TextSample> sample_;
};

/// Counts the words of a whole sample; `on_text` (may be null) sees every text first.
WordCounts count_words(ShownSample& sample, const PreTokenizer& pre_tokenizer,
                       const Normalizer* normalizer, int threads,
                       const std::function<void(const std::string&)>& on_text);

/// An Error if the folder to make is there already and holds something.
void refuse_existing(const std::string& folder);

/// As many as asked, or as the machine has.
int thread_count(int asked);

}  // namespace tigerbot
