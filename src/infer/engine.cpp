#include "infer/engine.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/full.h>

#include <algorithm>

#include "base/error.h"

namespace tigerbot {

struct Engine::Running {
  std::int64_t id;
  GenerationRequest request;
  Listener listener;
  Sampler sampler;
  StopStrings stop;
  StreamDecoder decoder;
  std::vector<std::int32_t> blocks;
  std::int64_t cached = 0;      // tokens whose keys and values are stored
  std::int64_t step = 0;        // tokens that the present step takes
  std::int64_t new_tokens = 0;  // tokens of the answer so far
  std::int64_t limit = 0;       // tokens that the answer may have
  TokenId last = 0;             // the newest token of the answer, not stored yet
  bool done = false;

  Running(std::int64_t id_, GenerationRequest request_, Listener listener_,
          const Tokenizer& tokenizer)
      : id(id_),
        request(std::move(request_)),
        listener(std::move(listener_)),
        sampler(request.sampling, request.prompt),
        stop(request.stop),
        decoder(tokenizer, /*skip_special_tokens=*/true) {}

  std::int64_t prompt_tokens() const { return static_cast<std::int64_t>(request.prompt.size()); }
  bool in_prompt() const { return cached < prompt_tokens(); }
  bool ends_prompt() const { return cached + step >= prompt_tokens(); }
};

std::string_view finish_reason_name(FinishReason reason) {
  switch (reason) {
    case FinishReason::kStop:
      return "stop";
    case FinishReason::kLength:
      return "length";
    case FinishReason::kCancelled:
      return "cancelled";
  }
  return "";
}

std::int64_t context_length(const ModelConfig& config) {
  if (config.family == ModelConfig::Family::kBloom) return 0;
  return config.max_position_embeddings;
}

Engine::Engine(Decoder& decoder, const Tokenizer& tokenizer, const EngineOptions& options)
    : decoder_(decoder),
      tokenizer_(tokenizer),
      options_(options),
      dtype_(decoder.output_weight().scalar_type()),
      device_(decoder.output_weight().device()),
      cache_(decoder.config(), (options.cache_tokens + options.block_size - 1) / options.block_size,
             options.block_size, dtype_, device_) {}

Engine::~Engine() = default;

std::int64_t Engine::submit(GenerationRequest request, Listener listener) {
  const auto prompt = static_cast<std::int64_t>(request.prompt.size());
  if (prompt == 0) fail("the prompt has no tokens");
  if (request.max_new_tokens < 1) fail("--max-new-tokens must be at least 1");
  const std::int64_t vocabulary = decoder_.config().vocab_size;
  for (const TokenId id : request.prompt) {
    if (id < 0 || id >= vocabulary) {
      fail("token {} of the prompt is not among the model's {} pieces", id, vocabulary);
    }
  }
  std::int64_t limit = request.max_new_tokens;
  if (const std::int64_t context = context_length(decoder_.config()); context > 0) {
    if (prompt >= context) {
      fail("the prompt has {} tokens and the model's context is {}; shorten the prompt", prompt,
           context);
    }
    limit = std::min(limit, context - prompt);
  }
  // The last token of an answer is never stored.
  const std::int64_t need = cache_.blocks_for(prompt + limit - 1);
  if (need > cache_.num_blocks()) {
    fail("the prompt ({} tokens) and the answer ({}) do not fit into a cache of {} tokens", prompt,
         limit, cache_.num_blocks() * cache_.block_size());
  }
  auto sequence =
      std::make_unique<Running>(next_id_++, std::move(request), std::move(listener), tokenizer_);
  sequence->limit = limit;
  waiting_.push_back(std::move(sequence));
  return waiting_.back()->id;
}

void Engine::cancel(std::int64_t id) {
  for (auto& sequence : running_) {
    if (sequence->id == id && !sequence->done) finish(*sequence, FinishReason::kCancelled);
  }
  const auto waiting = std::find_if(waiting_.begin(), waiting_.end(),
                                    [&](const auto& sequence) { return sequence->id == id; });
  if (waiting == waiting_.end()) return;
  const std::unique_ptr<Running> sequence = std::move(*waiting);
  waiting_.erase(waiting);
  finish(*sequence, FinishReason::kCancelled);
}

void Engine::admit() {
  while (!waiting_.empty() && static_cast<std::int64_t>(running_.size()) < options_.max_sequences) {
    Running& next = *waiting_.front();
    const std::int64_t tokens = next.prompt_tokens() + next.limit - 1;
    if (cache_.blocks_for(tokens) > cache_.free_blocks()) return;
    next.blocks = cache_.allocate(tokens);
    running_.push_back(std::move(waiting_.front()));
    waiting_.pop_front();
  }
}

void Engine::finish(Running& sequence, FinishReason reason) {
  sequence.done = true;
  cache_.release(sequence.blocks);
  sequence.blocks.clear();
  GenerationUpdate update{sequence.id,        "", true, reason, sequence.prompt_tokens(),
                          sequence.new_tokens};
  update.text = sequence.stop.push(sequence.decoder.finish());
  update.text += sequence.stop.finish();
  if (sequence.listener) sequence.listener(update);
}

void Engine::take(Running& sequence, TokenId token) {
  ++sequence.new_tokens;
  sequence.last = token;
  const auto& stops = sequence.request.stop_token_ids;
  if (std::find(stops.begin(), stops.end(), token) != stops.end()) {
    finish(sequence, FinishReason::kStop);
    return;
  }
  std::string text = sequence.stop.push(sequence.decoder.push(token));
  const bool ends = sequence.stop.stopped() || sequence.new_tokens >= sequence.limit;
  if (sequence.listener && !text.empty()) {
    sequence.listener({sequence.id, std::move(text), false, FinishReason::kStop,
                       sequence.prompt_tokens(), sequence.new_tokens});
  }
  // A listener may have cancelled its own request.
  if (ends && !sequence.done) {
    finish(sequence, sequence.stop.stopped() ? FinishReason::kStop : FinishReason::kLength);
  }
}

bool Engine::step() {
  std::erase_if(running_, [](const auto& sequence) { return sequence->done; });
  admit();
  if (running_.empty()) return false;
  const at::NoGradGuard no_grad;

  // Who takes part: every answer with its newest token, and prompts up to the chunk.
  std::vector<Running*> parts;
  std::vector<std::int64_t> lengths;
  std::vector<std::int64_t> starts;
  std::int64_t budget = options_.prefill_chunk;
  std::size_t max_blocks = 0;
  for (const auto& sequence : running_) {
    sequence->step = 1;
    if (sequence->in_prompt()) {
      sequence->step = std::min(budget, sequence->prompt_tokens() - sequence->cached);
      budget -= sequence->step;
      if (sequence->step == 0) continue;
    }
    parts.push_back(sequence.get());
    lengths.push_back(sequence->step);
    starts.push_back(sequence->cached);
    max_blocks = std::max(max_blocks, sequence->blocks.size());
  }

  const Sequences sequences = make_sequences(lengths, starts, device_);
  const at::Tensor ids = at::empty({sequences.tokens()}, at::kInt);
  StepCache step;
  step.layers = cache_.layers();
  step.tables.blocks =
      at::full({static_cast<std::int64_t>(parts.size()), static_cast<std::int64_t>(max_blocks)}, 0,
               at::kInt);
  std::vector<std::int64_t> last_rows;
  std::vector<Running*> sampled;
  auto* id = ids.data_ptr<std::int32_t>();
  for (std::size_t i = 0; i < parts.size(); ++i) {
    Running& sequence = *parts[i];
    if (sequence.in_prompt()) {
      const auto first = sequence.request.prompt.begin() + sequence.cached;
      id = std::copy(first, first + sequence.step, id);
    } else {
      *id++ = sequence.last;
    }
    auto* table = step.tables.blocks.data_ptr<std::int32_t>() + i * max_blocks;
    std::copy(sequence.blocks.begin(), sequence.blocks.end(), table);
    step.tables.context_lengths.push_back(
        static_cast<std::int32_t>(sequence.cached + sequence.step));
    if (!sequence.in_prompt() || sequence.ends_prompt()) {
      last_rows.push_back(sequences.cu_seqlens[i + 1] - 1);
      sampled.push_back(&sequence);
    }
  }
  step.tables.blocks = step.tables.blocks.to(device_);

  step.output_rows = last_rows;
  const at::Tensor hidden = decoder_.forward(ids.to(device_), sequences, &step);
  for (Running* sequence : parts) sequence->cached += sequence->step;
  if (sampled.empty()) return true;

  const at::Tensor logits = decoder_.logits(hidden)
                                .to(at::kCPU, at::kFloat, /*non_blocking=*/false, /*copy=*/false)
                                .contiguous();
  // Rows past the tokenizer's pieces fill the vocabulary up to a round number: no answer has them.
  const auto vocabulary = static_cast<std::size_t>(logits.size(1));
  const auto pieces = std::min(
      vocabulary, static_cast<std::size_t>(tokenizer_.padding_from.value_or(tokenizer_.size())));
  for (std::size_t i = 0; i < sampled.size(); ++i) {
    if (sampled[i]->done) continue;
    float* row = logits.data_ptr<float>() + i * vocabulary;
    take(*sampled[i], sampled[i]->sampler.sample({row, pieces}));
  }
  return true;
}

}  // namespace tigerbot
