#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "base/json.h"

namespace tigerbot {

struct QuantizationEffectOptions {
  /// Texts as data::find_sample_inputs takes them; none: perplexity is not measured.
  std::vector<std::string> texts;
  std::uint64_t bytes_per_language = 64 << 10;
  std::int64_t context = 512;  ///< tokens of a window
  bool speed = false;
};

/// An Error where the model's context is too short for the windows, or a text is not there: before
/// the long work, not after it.
void check_quantization_effect(const std::filesystem::path& before,
                               const QuantizationEffectOptions& options);

/// What quantizing did to a model, measured on both: by language `perplexity` and
/// `next_token_accuracy` of the same text (`languages`: `bytes`, `before`, `after`), and tokens a
/// second (`speed`: `before`, `after`). One model is held at a time.
Json quantization_effect(const std::filesystem::path& before, const std::filesystem::path& after,
                         const QuantizationEffectOptions& options);

}  // namespace tigerbot
