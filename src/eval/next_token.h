#pragma once

#include <cstdint>
#include <filesystem>

#include "infer/language_model.h"
#include "train/evaluation.h"

namespace tigerbot {

struct NextTokenOptions {
  std::int64_t max_rows = 100'000;  ///< sampled with the seed where a file has more
  std::uint64_t seed = 0;
  std::int64_t context = 0;  ///< longest row, its prompt is cut; 0: the model's, at most 2,048
};

/// Next-token accuracy (the report, section 10, stage 1): how often the most likely token is the
/// right one, over the tokens of the answers of a file of {"prompt", "answer"} rows.
train::EvaluationResult measure_next_token(LanguageModel& model, const std::filesystem::path& file,
                                           const NextTokenOptions& options);

}  // namespace tigerbot
