#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "base/json.h"
#include "model/decoder.h"
#include "tokenizer/tokenizer.h"

namespace tigerbot::train {

/// Tokens with labels, of which a model's predictions are measured.
struct EvaluationRow {
  std::vector<TokenId> ids;
  std::vector<std::int64_t> labels;  ///< -100 where nothing is predicted
  std::string source, language;
};

/// What came of them.
struct EvaluationCount {
  std::int64_t rows = 0;
  std::int64_t tokens = 0;   ///< predicted
  std::int64_t correct = 0;  ///< predicted tokens that were the most likely one
  double nll = 0;            ///< sum of negative log-likelihoods, in nats

  double loss() const { return tokens == 0 ? 0 : nll / static_cast<double>(tokens); }
  double accuracy() const {
    return tokens == 0 ? 0 : static_cast<double>(correct) / static_cast<double>(tokens);
  }
  void add(const EvaluationCount& other);
};

struct EvaluationResult {
  EvaluationCount total;
  std::map<std::string, EvaluationCount> by_source, by_language;
};

/// Measures the rows, several in one pass of about `tokens_at_once` tokens.
EvaluationResult evaluate_rows(Decoder& model, const std::vector<EvaluationRow>& rows,
                               std::int64_t tokens_at_once = 2048, bool show_progress = false);

/// Reads rows of {"prompt", "answer"} (and "source", "language"); labels are on the answer. Rows
/// longer than `context` tokens lose the beginning of their prompt (0: no limit). More than
/// `max_rows` rows are sampled with the seed, in the file's order (0: all).
std::vector<EvaluationRow> read_prompt_answers(const std::filesystem::path& file,
                                               const Tokenizer& tokenizer, std::int64_t context,
                                               std::int64_t max_rows, std::uint64_t seed);

/// Reads a plain text, or JSON lines with "text" (and "source", "language"), in windows of
/// `context` tokens; every token but a window's first is predicted.
std::vector<EvaluationRow> read_text_windows(const std::filesystem::path& file,
                                             const Tokenizer& tokenizer, std::int64_t context,
                                             std::int64_t max_rows, const std::string& language);

/// {"loss", "accuracy", "rows", "tokens"}.
Json evaluation_json(const EvaluationCount& count);

}  // namespace tigerbot::train
