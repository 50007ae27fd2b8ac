#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "infer/key_value_cache.h"
#include "infer/request.h"
#include "infer/scheduler.h"
#include "infer/statistics.h"
#include "model/decoder.h"
#include "tokenizer/tokenizer.h"

namespace tigerbot {

struct Answer;
struct ActiveRequest;

struct EngineOptions {
  std::int64_t block_size = 32;  ///< tokens of a cache block
  /// Tokens that the cache holds, over all sequences.
  std::int64_t cache_tokens = 8192;
  /// How the cache keeps keys and values (see KeyValueCache); nothing: in the model's own type.
  std::optional<at::ScalarType> cache_dtype{};
  /// Prompt tokens that one step takes, over all sequences.
  std::int64_t prefill_chunk = 512;
  /// Answers that run together.
  std::int64_t max_sequences = 64;
  /// Answers that may wait; a request for more is a QueueFullError. 0: no limit.
  std::int64_t max_waiting = 0;
  /// A request that has waited so long without beginning ends (kTimeout). 0: no limit.
  std::chrono::milliseconds max_wait{0};
  /// How rotary angles are stretched for requests whose prompt and longest answer together pass the
  /// trained length, by that sum: kLinear, kDynamic (NTK) or kYarn. Shorter ones run as without.
  RopeScaling::Kind rope_scaling = RopeScaling::Kind::kNone;
  double rope_factor = 8;  ///< the context is this many trained lengths
  /// Whether prompts that begin alike are computed once.
  bool prefix_cache = true;
  /// Tokens that a lone answer guesses from what follows the same words earlier on, to be computed
  /// in one step ("prompt lookup"). The answer is the same. 0: off.
  std::int64_t prompt_lookup = 0;
  /// Told of the logits of every token that is drawn, before anything changes them: of answer
  /// `index` of request `id`. Called from several threads at a time, for different answers.
  std::function<void(std::int64_t id, std::int64_t index, std::span<const float> logits)> observer;
  /// What time it is; tests have their own.
  std::function<std::chrono::steady_clock::time_point()> clock = std::chrono::steady_clock::now;
};

/// Runs requests through a decoder, many at a time: each step takes the next token of every running
/// answer and a chunk of the prompts that wait (see Scheduler). What an answer says depends on its
/// request and the model alone, not on what else is being served. Not for several threads, but for
/// what says so; EngineThread is.
class Engine {
 public:
  /// `decoder` and `tokenizer` must outlive the engine.
  Engine(Decoder& decoder, const Tokenizer& tokenizer, const EngineOptions& options);
  ~Engine();

  using Listener = GenerationListener;

  /// An Error for a request that can't be run: an empty prompt, one that leaves no room in the
  /// model's context, one that the cache could never hold, an option out of range. From any thread.
  void check(const GenerationRequest& request) const;

  /// The number of the next request; from any thread.
  std::int64_t reserve_id() { return next_id_.fetch_add(1); }

  /// Queues a request; gives its id. Errors as check(), and a QueueFullError.
  std::int64_t submit(GenerationRequest request, Listener listener);
  /// The same under an id that reserve_id gave.
  void submit(std::int64_t id, GenerationRequest request, Listener listener);

  /// Ends a request, whose listener hears of it. No effect on one that has ended.
  void cancel(std::int64_t id);

  void cancel_all();

  /// Ends everything with FinishReason::kError, after a failure.
  void abort(const std::string& message);

  EngineStatistics statistics() const;
  /// Tokens that a prompt and its answer may have together; 0: no limit.
  std::int64_t context() const;
  const EngineOptions& options() const { return options_; }

  /// One step of the model; whether anything is left to do.
  bool step();

  /// Steps until all is done.
  void run() {
    while (step()) {
    }
  }

 private:
  /// Which rows of a step's final hidden states belong to a part of it.
  struct Rows {
    Answer* answer;
    std::int64_t first, count;
  };

  RotaryScale scale_of(const ActiveRequest& request) const;
  std::int64_t limit_of(const GenerationRequest& request) const;
  void expire();
  void propose();
  at::Tensor run_model(const StepPlan& plan, std::vector<Rows>& rows);
  void pool(Answer& answer, const at::Tensor& hidden);
  std::vector<Answer*> fork(Answer& first);
  void draw(Answer& answer, const at::Tensor& logits, std::int64_t row) const;
  void take(Answer& answer);
  void count_end(FinishReason reason);
  void finish(Answer& answer, FinishReason reason, const std::string& error = {});

  Decoder& decoder_;
  const Tokenizer& tokenizer_;
  EngineOptions options_;
  at::ScalarType dtype_;
  at::Device device_;
  KeyValueCache cache_;
  Scheduler scheduler_;
  std::int64_t pieces_;  // that the tokenizer has: rows past them fill the vocabulary up
  std::vector<std::unique_ptr<Answer>> answers_;
  std::atomic<std::int64_t> next_id_ = 0;
  EngineStatistics statistics_;
};

/// The kind that `--rope-scaling` names: "none", "linear", "dynamic" or "yarn"; an Error for
/// others.
RopeScaling::Kind parse_rope_scaling(const std::string& name);

/// Tokens of context that a request of this model may use in all; 0 where the model sets no limit
/// (ALiBi).
std::int64_t context_length(const ModelConfig& config);
/// The same with the scaling that the options ask for.
std::int64_t context_length(const ModelConfig& config, const EngineOptions& options);

}  // namespace tigerbot
