#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <unordered_map>
#include <vector>

#include "tokenizer/tokenizer.h"

namespace tigerbot {

/// How the next token is drawn, with the names that transformers and OpenAI's API use.
struct SamplingOptions {
  /// 0 takes the most likely token (the lowest id among equals).
  double temperature = 0.0;
  std::int64_t top_k = 0;  ///< keep this many of the most likely tokens; 0: all
  double top_p = 1.0;      ///< keep the fewest tokens that hold this probability (Holtzman 2020)
  double min_p = 0.0;      ///< keep tokens at least this fraction as likely as the likeliest
  /// Divides positive and multiplies negative logits of tokens in the prompt or the answer
  /// (Keskar et al. 2019); 1: off.
  double repetition_penalty = 1.0;
  double presence_penalty = 0.0;   ///< taken off the logit of each token of the answer
  double frequency_penalty = 0.0;  ///< taken off once for each time it stands there
  std::uint64_t seed = 0;
  std::uint64_t stream = 0;  ///< answers to draw apart with one seed: each has its own

  /// An Error that names the option that is out of range.
  void check() const;
};

/// Draws the tokens of one answer. The n-th draw is a function of the seed, the
/// stream, n and the logits alone.
class Sampler {
 public:
  Sampler(const SamplingOptions& options, std::span<const TokenId> prompt);

  /// The next token. Overwrites `logits` (one for each piece).
  TokenId sample(std::span<float> logits);

 private:
  void penalize(std::span<float> logits) const;
  TokenId draw(std::span<const float> logits);

  SamplingOptions options_;
  std::unordered_map<TokenId, std::int64_t> prompt_;  // tokens of the prompt, for the penalty
  std::unordered_map<TokenId, std::int64_t> answer_;  // tokens of the answer and how often
  std::uint64_t drawn_ = 0;
  std::vector<std::pair<float, TokenId>> candidates_;
};

}  // namespace tigerbot
