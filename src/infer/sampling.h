#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <unordered_map>
#include <vector>

#include "infer/logits.h"
#include "infer/token_constraint.h"
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
  /// Added to the logits of these tokens (OpenAI's logit_bias), each from -100 to 100; -100 rules
  /// a token out.
  std::vector<std::pair<TokenId, float>> logit_bias;
  std::uint64_t seed = 0;
  std::uint64_t stream = 0;  ///< answers to draw apart with one seed: each has its own

  /// An Error that names the option that is out of range.
  void check() const;
};

/// How likely the model found a token, and what it found likeliest there.
struct TokenLogprobs {
  TokenId token = 0;
  float logprob = 0;                             ///< natural logarithm
  std::vector<std::pair<TokenId, float>> top{};  ///< the likeliest first
};

/// A token with its log-probability among `logits`, and the `top` likeliest.
TokenLogprobs token_logprobs(std::span<const float> logits, TokenId token, std::int64_t top);

/// Draws the tokens of one answer. The n-th draw is a function of the seed, the
/// stream, n and the logits alone.
class Sampler {
 public:
  Sampler(const SamplingOptions& options, std::span<const TokenId> prompt);

  /// The next token. Overwrites `logits` (one for each piece). With a mask, only tokens that it
  /// allows; an Error if it allows none.
  TokenId sample(std::span<float> logits, const TokenMask* mask = nullptr);

 private:
  void penalize(std::span<float> logits) const;
  TokenId draw(const LogitRow& row) const;
  static TokenId draw_any(std::span<const float> weights, double uniform);
  std::vector<ScoredToken> likeliest_share(const LogitRow& row, float inverse, double share) const;

  SamplingOptions options_;
  std::unordered_map<TokenId, std::int64_t> prompt_;  // tokens of the prompt, for the penalty
  std::unordered_map<TokenId, std::int64_t> answer_;  // tokens of the answer and how often
  std::uint64_t drawn_ = 0;
};

}  // namespace tigerbot
