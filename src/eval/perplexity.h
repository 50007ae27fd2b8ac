#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "infer/language_model.h"

namespace tigerbot {

struct PerplexityOptions {
  std::int64_t context = 0;       ///< tokens of a window; 0: the model's context, at most 2,048
  std::int64_t stride = 0;        ///< tokens from one window to the next; 0: as many as the context
  std::string name = "the text";  ///< what errors call it
  /// Each window goes through a key/value cache, as in generation, of the model's own type or of
  /// cache_dtype (see KeyValueCache).
  bool cached = false;
  std::optional<at::ScalarType> cache_dtype{};
};

struct Perplexity {
  std::int64_t tokens = 0;   ///< predicted tokens
  double nll = 0;            ///< sum of their negative log-likelihoods, in nats
  std::int64_t correct = 0;  ///< predicted tokens that were the most likely one
  std::int64_t context = 0;
  std::int64_t stride = 0;

  double perplexity() const;
  double next_token_accuracy() const;
};

/// How well a model predicts a text, in windows of `context` tokens that begin `stride` tokens
/// apart; each token counts once, in the first window that holds it, and the first token of a
/// window is never predicted. With the same window and stride these are the figures of the
/// transformers documentation's recipe for fixed-length models.
Perplexity measure_perplexity(LanguageModel& model, std::string_view text,
                              const PerplexityOptions& options);

}  // namespace tigerbot
