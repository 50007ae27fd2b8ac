#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "infer/key_value_cache.h"
#include "infer/sampling.h"
#include "infer/stop_strings.h"
#include "model/decoder.h"
#include "tokenizer/tokenizer.h"

namespace tigerbot {

struct GenerationRequest {
  std::vector<TokenId> prompt;
  SamplingOptions sampling;
  /// At most this many tokens; fewer where the context ends.
  std::int64_t max_new_tokens = 512;
  /// The answer ends before the first of these texts.
  std::vector<std::string> stop;
  /// The answer ends at these tokens, which are not part of its text.
  std::vector<std::int64_t> stop_token_ids;
};

enum class FinishReason { kStop, kLength, kCancelled };

/// "stop", "length" or "cancelled".
std::string_view finish_reason_name(FinishReason reason);

/// News of one request.
struct GenerationUpdate {
  std::int64_t id = 0;
  std::string text;  ///< what has become of the answer's text since the last update
  bool finished = false;
  FinishReason reason = FinishReason::kStop;  ///< if finished
  std::int64_t prompt_tokens = 0;
  std::int64_t new_tokens = 0;
};

struct EngineOptions {
  std::int64_t block_size = 32;  ///< tokens of a cache block
  /// Tokens that the cache holds, over all sequences.
  std::int64_t cache_tokens = 8192;
  /// Prompt tokens that one step takes, over all sequences.
  std::int64_t prefill_chunk = 512;
  /// Sequences that run together.
  std::int64_t max_sequences = 64;
};

/// Runs requests through a decoder, many at a time: each step takes the next token of every running
/// answer and a chunk of the prompts that wait. A request is admitted when the cache has room for
/// all that it may need, so none is ever stopped for want of memory. Not for several threads.
class Engine {
 public:
  /// `decoder` and `tokenizer` must outlive the engine.
  Engine(Decoder& decoder, const Tokenizer& tokenizer, const EngineOptions& options);

  using Listener = std::function<void(const GenerationUpdate&)>;

  /// Queues a request; gives its id. An Error for an empty prompt, one that leaves no room in the
  /// model's context, or one that the cache could never hold.
  std::int64_t submit(GenerationRequest request, Listener listener);

  /// Ends a request, whose listener hears of it.
  void cancel(std::int64_t id);

  /// One step of the model; false when nothing is left to do.
  bool step();

  /// Steps until all is done.
  void run() {
    while (step()) {
    }
  }

 private:
  struct Running;

  void admit();
  void finish(Running& sequence, FinishReason reason);
  void take(Running& sequence, TokenId token);

  Decoder& decoder_;
  const Tokenizer& tokenizer_;
  EngineOptions options_;
  at::ScalarType dtype_;
  at::Device device_;
  KeyValueCache cache_;
  std::deque<std::unique_ptr<Running>> waiting_;
  std::vector<std::unique_ptr<Running>> running_;
  std::int64_t next_id_ = 0;

 public:
  ~Engine();
};

/// Tokens of context that a request of this model may use in all; 0 where the model sets no limit
/// (ALiBi).
std::int64_t context_length(const ModelConfig& config);

}  // namespace tigerbot
