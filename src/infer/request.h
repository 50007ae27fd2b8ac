#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/error.h"
#include "infer/sampling.h"
#include "infer/token_constraint.h"
#include "tokenizer/tokenizer.h"

namespace tigerbot {

/// How the final hidden states of a text become one vector.
enum class Pooling { kMean, kLast };

/// What an Engine is asked for: one or several answers to a prompt, or a prompt's vector.
struct GenerationRequest {
  std::vector<TokenId> prompt;
  SamplingOptions sampling;
  /// At most this many tokens; fewer where the context ends.
  std::int64_t max_new_tokens = 512;
  /// The answer ends before the first of these texts.
  std::vector<std::string> stop;
  /// The answer ends at these tokens, which are not part of its text.
  std::vector<std::int64_t> stop_token_ids;
  /// Answers to the prompt, which is computed and stored once. Answer i draws from stream
  /// sampling.stream + i.
  std::int64_t n = 1;
  /// Log-probabilities of the answer's tokens, and of so many of the likeliest beside each; not
  /// given: none. They are the model's own, before penalties, bias and temperature.
  std::optional<std::int64_t> logprobs;
  /// What the answer may say; cloned for each answer.
  std::shared_ptr<const TokenConstraint> constraint;
  /// The adapter to answer with, by the name it was added under; empty: the model as it is.
  std::string adapter;

  /// Higher goes first, and may put lower ones off that run already.
  std::int64_t priority = 0;
  /// Whose request it is: those of equal priority share the engine evenly among clients.
  std::string client;
  /// When it ends wherever it stands (FinishReason::kTimeout).
  std::optional<std::chrono::steady_clock::time_point> deadline;

  /// Whether statistics know of it (a warm-up's are nobody's).
  bool counted = true;

  /// Given: there is no answer but the pooled final hidden states of the prompt.
  std::optional<Pooling> embedding;
};

enum class FinishReason { kStop, kLength, kCancelled, kTimeout, kError };

/// "stop", "length", "cancelled", "timeout" or "error".
std::string_view finish_reason_name(FinishReason reason);

/// News of one answer of a request.
struct GenerationUpdate {
  std::int64_t id = 0;     ///< of the request
  std::int64_t index = 0;  ///< of the answer, below the request's n
  std::string text;        ///< what has become of the answer's text since the last update
  /// The answer's tokens since the last update. Their text may come later, when a character is
  /// whole or no stop string can begin there. A token that ends the answer is not among them.
  std::vector<TokenId> tokens;
  /// Of each of `tokens`, if asked for.
  std::vector<TokenLogprobs> logprobs;
  bool finished = false;
  FinishReason reason = FinishReason::kStop;  ///< if finished
  std::int64_t prompt_tokens = 0;
  /// Of the answer so far; a token that ended it is counted.
  std::int64_t new_tokens = 0;
  /// Tokens of the prompt that the cache had already.
  std::int64_t cached_prompt_tokens = 0;
  std::string error;             ///< what went wrong, for kError
  std::vector<float> embedding;  ///< [hidden_size], if asked for and finished; not normalized
};

/// Told of every update, in order. Must not throw. May cancel, and may submit.
using GenerationListener = std::function<void(const GenerationUpdate&)>;

/// A request that is refused because as many wait already as may (HTTP 429).
class QueueFullError : public Error {
 public:
  using Error::Error;
};
std::string queue_full_message(std::int64_t max_waiting);

}  // namespace tigerbot
