#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "infer/request.h"
#include "infer/sampling.h"
#include "infer/scheduler.h"
#include "infer/stop_strings.h"
#include "tokenizer/tokenizer.h"

namespace tigerbot {

/// A request and what its answers share.
struct ActiveRequest {
  std::int64_t id = 0;
  GenerationRequest request;
  GenerationListener listener;
  std::int64_t limit = 0;     ///< tokens that each answer may have
  std::int64_t unforked = 0;  ///< answers that are not begun: the first one computes the prompt
  bool counted = false;       ///< among the statistics of prompts
  std::chrono::steady_clock::time_point submitted;
};

/// One answer of a request on its way: its tokens, and how the next ones are drawn and told.
struct Answer : Sequence {
  Answer(std::shared_ptr<ActiveRequest> owner_, std::int64_t index_, const Tokenizer& tokenizer);

  const GenerationRequest& request() const { return owner->request; }
  bool is_embedding() const { return owner->request.embedding.has_value(); }
  std::int64_t prompt_tokens() const {
    return static_cast<std::int64_t>(owner->request.prompt.size());
  }
  /// An update that says where it stands.
  GenerationUpdate update() const;

  std::shared_ptr<ActiveRequest> owner;
  std::int64_t index;
  Sampler sampler;
  StopStrings stop;
  StreamDecoder decoder;
  std::unique_ptr<TokenConstraint> constraint;
  TokenMask mask;  ///< of the constraint
  std::int64_t new_tokens = 0;
  std::vector<double> pooled;  ///< sum of hidden states so far, for an embedding
  bool done = false;

  /// What the present step has drawn, and what went wrong.
  struct Drawn {
    std::vector<TokenId> tokens;
    std::vector<TokenLogprobs> logprobs;
    std::string error;
  };
  Drawn drawn;
};

}  // namespace tigerbot
