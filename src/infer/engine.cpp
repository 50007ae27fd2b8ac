#include "infer/engine.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/full.h>
#include <ATen/ops/index_select.h>
#include <ATen/ops/tensor.h>

#include <algorithm>

#include "base/error.h"
#include "infer/answer.h"
#include "infer/logits.h"
#include "infer/prompt_lookup.h"
#include "ops/cpu/threads.h"

namespace tigerbot {
namespace {

double seconds_between(std::chrono::steady_clock::time_point a,
                       std::chrono::steady_clock::time_point b) {
  return std::chrono::duration<double>(b - a).count();
}

}  // namespace

std::int64_t context_length(const ModelConfig& config) {
  if (config.family == ModelConfig::Family::kBloom) return 0;
  return config.max_position_embeddings;
}

std::int64_t context_length(const ModelConfig& config, const EngineOptions& options) {
  const std::int64_t trained = context_length(config);
  if (options.rope_scaling == RopeScaling::Kind::kNone) return trained;
  return static_cast<std::int64_t>(static_cast<double>(trained) * options.rope_factor);
}

RopeScaling::Kind parse_rope_scaling(const std::string& name) {
  if (name == "none") return RopeScaling::Kind::kNone;
  if (name == "linear") return RopeScaling::Kind::kLinear;
  if (name == "dynamic") return RopeScaling::Kind::kDynamic;
  if (name == "yarn") return RopeScaling::Kind::kYarn;
  fail("--rope-scaling: \"{}\" is not one of none, linear, dynamic, yarn", name);
}

Engine::Engine(Decoder& decoder, const Tokenizer& tokenizer, const EngineOptions& options)
    : decoder_(decoder),
      tokenizer_(tokenizer),
      options_(options),
      dtype_(decoder.output_weight().scalar_type()),
      device_(decoder.output_weight().device()),
      cache_(decoder.config(), (options.cache_tokens + options.block_size - 1) / options.block_size,
             options.block_size, options.cache_dtype.value_or(dtype_), device_),
      scheduler_({cache_.num_blocks(), options.block_size, options.prefill_chunk,
                  options.max_sequences, options.prefix_cache}),
      pieces_(std::min(decoder.config().vocab_size,
                       tokenizer.padding_from.value_or(tokenizer.size()))) {
  const ModelConfig& config = decoder.config();
  switch (options.rope_scaling) {
    case RopeScaling::Kind::kNone:
      break;
    case RopeScaling::Kind::kLlama3:
      fail("--rope-scaling must be none, linear, dynamic or yarn");
    default:
      if (config.family != ModelConfig::Family::kLlama) {
        fail("--rope-scaling: a {} model has no rotary positions", config.model_type);
      }
      if (config.rope_scaling.kind != RopeScaling::Kind::kNone) {
        fail("--rope-scaling: the model's config.json scales its rotary positions already");
      }
      if (!(options.rope_factor >= 1 && options.rope_factor <= 1024)) {
        fail("--rope-factor must be from 1 to 1024");
      }
  }
}

Engine::~Engine() = default;

std::int64_t Engine::context() const { return context_length(decoder_.config(), options_); }

/// A function of the request alone: its prompt and what its answer may have.
RotaryScale Engine::scale_of(const ActiveRequest& request) const {
  return {options_.rope_scaling, options_.rope_factor,
          static_cast<std::int64_t>(request.request.prompt.size()) + request.limit};
}

/// Tokens that an answer may have: as many as asked for, or fewer where the context ends.
std::int64_t Engine::limit_of(const GenerationRequest& request) const {
  if (request.embedding) return 1;
  const std::int64_t context = this->context();
  if (context == 0) return request.max_new_tokens;
  return std::min(request.max_new_tokens,
                  context - static_cast<std::int64_t>(request.prompt.size()));
}

void Engine::check(const GenerationRequest& request) const {
  const auto prompt = static_cast<std::int64_t>(request.prompt.size());
  if (prompt == 0) fail("the prompt has no tokens");
  const std::int64_t vocabulary = decoder_.config().vocab_size;
  for (const TokenId id : request.prompt) {
    if (id < 0 || id >= vocabulary) {
      fail("token {} of the prompt is not among the model's {} pieces", id, vocabulary);
    }
  }
  const std::int64_t context = this->context();
  if (context > 0 && prompt + (request.embedding ? 0 : 1) > context) {
    fail("the prompt has {} tokens and the model's context is {}; shorten the prompt", prompt,
         context);
  }
  if (!request.embedding) {
    if (request.max_new_tokens < 1) fail("--max-new-tokens must be at least 1");
    if (request.n < 1) fail("n must be at least 1");
    if (request.logprobs && (*request.logprobs < 0 || *request.logprobs > pieces_)) {
      fail("logprobs must be from 0 to the {} pieces of the vocabulary", pieces_);
    }
    request.sampling.check();
    for (const auto& [id, bias] : request.sampling.logit_bias) {
      if (id < 0 || id >= pieces_) {
        fail("logit_bias: token {} is not among the model's {} pieces", id, pieces_);
      }
    }
    for (const std::string& text : request.stop) {
      if (text.empty()) fail("a stop string can't be empty");
    }
  } else if (request.n != 1) {
    fail("a prompt has one embedding: n must be 1");
  }
  if (!request.adapter.empty()) fail("there is no adapter {}", request.adapter);
  const std::int64_t limit = limit_of(request);
  // The last token of an answer is never stored.
  if (scheduler_.blocks_for(prompt + limit - 1) > cache_.num_blocks()) {
    fail("the prompt ({} tokens) and the answer ({}) do not fit into a cache of {} tokens", prompt,
         limit, cache_.num_blocks() * cache_.block_size());
  }
}

std::int64_t Engine::submit(GenerationRequest request, Listener listener) {
  check(request);
  if (options_.max_waiting > 0 && statistics().waiting + request.n > options_.max_waiting) {
    ++statistics_.refused;
    throw QueueFullError(queue_full_message(options_.max_waiting));
  }
  const std::int64_t id = reserve_id();
  submit(id, std::move(request), std::move(listener));
  return id;
}

void Engine::submit(std::int64_t id, GenerationRequest request, Listener listener) {
  check(request);
  if (request.counted) ++statistics_.requests;
  auto owner = std::make_shared<ActiveRequest>();
  owner->id = id;
  owner->request = std::move(request);
  owner->listener = std::move(listener);
  owner->limit = limit_of(owner->request);
  owner->unforked = owner->request.n - 1;
  owner->submitted = options_.clock();
  auto answer = std::make_unique<Answer>(owner, 0, tokenizer_);
  const RotaryScale scale = scale_of(*owner);
  const bool scaled = scale.kind != RopeScaling::Kind::kNone ||
                      decoder_.config().rope_scaling.kind == RopeScaling::Kind::kDynamic;
  if (scaled && scale.length > decoder_.config().max_position_embeddings) {
    answer->salt = fmt::format("rotary length {}", scale.length);
  }
  // Stored keys and values have no hidden states to take a mean of.
  answer->reuses_prefix = owner->request.embedding != Pooling::kMean;
  scheduler_.add(*answer);
  answers_.push_back(std::move(answer));
}

void Engine::cancel(std::int64_t id) {
  for (std::size_t i = 0; i < answers_.size(); ++i) {  // listeners may add to them
    Answer& answer = *answers_[i];
    if (answer.owner->id == id && !answer.done) finish(answer, FinishReason::kCancelled);
  }
}

void Engine::cancel_all() {
  for (std::size_t i = 0; i < answers_.size(); ++i) {
    if (!answers_[i]->done) finish(*answers_[i], FinishReason::kCancelled);
  }
}

void Engine::abort(const std::string& message) {
  for (std::size_t i = 0; i < answers_.size(); ++i) {
    if (!answers_[i]->done) finish(*answers_[i], FinishReason::kError, message);
  }
}

void Engine::count_end(FinishReason reason) {
  switch (reason) {
    case FinishReason::kStop:
    case FinishReason::kLength:
      ++statistics_.finished;
      break;
    case FinishReason::kCancelled:
      ++statistics_.cancelled;
      break;
    case FinishReason::kTimeout:
      ++statistics_.timeouts;
      break;
    case FinishReason::kError:
      ++statistics_.errors;
      break;
  }
}

void Engine::finish(Answer& answer, FinishReason reason, const std::string& error) {
  answer.done = true;
  scheduler_.remove(answer);
  GenerationUpdate update = answer.update();
  update.finished = true;
  update.reason = reason;
  update.error = error;
  if (answer.is_embedding()) {
    for (const double sum : answer.pooled) update.embedding.push_back(static_cast<float>(sum));
  } else {
    update.text = answer.stop.push(answer.decoder.finish());
    update.text += answer.stop.finish();
  }
  const std::int64_t others = std::exchange(answer.owner->unforked, 0);
  for (std::int64_t i = 0; i <= others; ++i) {
    if (i > 0) {  // an answer that never began
      update = answer.update();
      update.index = i;
      update.new_tokens = 0;
      update.finished = true;
      update.reason = reason;
      update.error = error;
    }
    if (answer.request().counted) count_end(reason);
    if (answer.owner->listener) answer.owner->listener(update);
  }
}

/// Ends what has run or waited for too long.
void Engine::expire() {
  const auto now = options_.clock();
  const bool waits_end = options_.max_wait.count() > 0;
  for (std::size_t i = 0; i < answers_.size(); ++i) {
    Answer& answer = *answers_[i];
    if (answer.done) continue;
    const auto deadline = answer.request().deadline;
    const bool waited =
        waits_end && !answer.begun && now - answer.owner->submitted >= options_.max_wait;
    if (waited || (deadline && now >= *deadline)) finish(answer, FinishReason::kTimeout);
  }
}

/// A lone answer guesses what follows.
void Engine::propose() {
  if (options_.prompt_lookup <= 0) return;
  const std::vector<Sequence*>& running = scheduler_.running();
  for (Sequence* sequence : running) sequence->draft.clear();
  if (running.size() != 1 || !scheduler_.waiting().empty()) return;
  auto& answer = static_cast<Answer&>(*running.front());
  if (answer.is_embedding() || answer.owner->unforked > 0) return;
  const std::int64_t room = answer.owner->limit - answer.new_tokens - 1;
  answer.draft = lookup_draft(answer.tokens, std::min(options_.prompt_lookup, room));
}

/// Runs the step; gives the final hidden states that are wanted, and whose they are.
at::Tensor Engine::run_model(const StepPlan& plan, std::vector<Rows>& rows) {
  std::vector<std::int64_t> lengths;
  std::vector<std::int64_t> starts;
  std::size_t max_blocks = 0;
  for (const Sequence* part : plan.parts) {
    lengths.push_back(part->step + (part->drafts ? std::ssize(part->draft) : 0));
    starts.push_back(part->cached);
    max_blocks = std::max(max_blocks, part->blocks.size());
  }
  const Sequences sequences = make_sequences(lengths, starts, device_);
  const at::Tensor ids = at::empty({sequences.tokens()}, at::kInt);
  StepCache step;
  step.layers = cache_.layers();
  step.tables.blocks =
      at::full({std::ssize(plan.parts), static_cast<std::int64_t>(max_blocks)}, 0, at::kInt);
  std::vector<std::int64_t> wanted;
  auto* id = ids.data_ptr<std::int32_t>();
  for (std::size_t i = 0; i < plan.parts.size(); ++i) {
    auto& answer = static_cast<Answer&>(*plan.parts[i]);
    const auto first = answer.tokens.begin() + answer.cached;
    id = std::copy(first, first + answer.step, id);
    if (answer.drafts) id = std::copy(answer.draft.begin(), answer.draft.end(), id);
    std::copy(answer.blocks.begin(), answer.blocks.end(),
              step.tables.blocks.data_ptr<std::int32_t>() + i * max_blocks);
    step.rotary_scales.push_back(scale_of(*answer.owner));
    step.tables.context_lengths.push_back(static_cast<std::int32_t>(starts[i] + lengths[i]));
    // The last token of a prompt, and what was guessed after it; all of a text to take the mean of.
    std::int64_t count = 0;
    if (answer.request().embedding == Pooling::kMean) {
      count = answer.step;
    } else if (answer.completes()) {
      count = 1 + lengths[i] - answer.step;
    }
    if (count == 0) continue;
    rows.push_back({&answer, std::ssize(wanted), count});
    for (std::int64_t row = sequences.cu_seqlens[i + 1] - count; row < sequences.cu_seqlens[i + 1];
         ++row) {
      wanted.push_back(row);
    }
  }
  step.tables.blocks = step.tables.blocks.to(device_);
  step.output_rows = std::move(wanted);
  return decoder_.forward(ids.to(device_), sequences, &step);
}

/// Takes in the hidden states of an embedding's tokens, one after the other, so that the sum does
/// not depend on how the text was cut.
void Engine::pool(Answer& answer, const at::Tensor& hidden) {
  if (answer.cached == 0) answer.pooled.clear();  // it may have been put off half-way
  const at::Tensor wide = hidden.to(at::kCPU, at::kDouble).contiguous();
  const std::int64_t features = wide.size(1);
  answer.pooled.resize(static_cast<std::size_t>(features), 0.0);
  const auto share = static_cast<double>(
      answer.request().embedding == Pooling::kMean ? answer.prompt_tokens() : 1);
  for (std::int64_t row = 0; row < wide.size(0); ++row) {
    const double* values = wide.const_data_ptr<double>() + row * features;
    for (std::int64_t i = 0; i < features; ++i) {
      answer.pooled[static_cast<std::size_t>(i)] += values[i] / share;
    }
  }
}

/// The other answers to a prompt, now that it is stored; the one it was computed for is first.
std::vector<Answer*> Engine::fork(Answer& first) {
  std::vector<Answer*> all{&first};
  const std::int64_t others = std::exchange(first.owner->unforked, 0);
  for (std::int64_t i = 1; i <= others; ++i) {
    auto answer = std::make_unique<Answer>(first.owner, i, tokenizer_);
    answer->salt = first.salt;
    scheduler_.fork(first, *answer);
    all.push_back(answer.get());
    answers_.push_back(std::move(answer));
  }
  return all;
}

/// Draws what comes after rows [row, ...) of the logits: one token, and more where guesses were
/// right. Runs beside other answers' draws.
void Engine::draw(Answer& answer, const at::Tensor& logits, std::int64_t row) const {
  answer.drawn = {};
  const auto& stops = answer.request().stop_token_ids;
  const std::size_t guesses = answer.drafts ? answer.draft.size() : 0;
  try {
    for (std::size_t i = 0; i <= guesses; ++i) {
      std::vector<float> scores(static_cast<std::size_t>(pieces_));
      read_logits(logits, row + static_cast<std::int64_t>(i), scores);
      if (options_.observer) options_.observer(answer.owner->id, answer.index, scores);
      std::vector<float> plain;
      if (answer.request().logprobs) plain = scores;
      const TokenMask* mask = nullptr;
      if (answer.constraint) {
        if (answer.mask.size() != pieces_) answer.mask = TokenMask(pieces_);
        answer.constraint->fill(answer.mask);
        mask = &answer.mask;
      }
      const TokenId token = answer.sampler.sample(scores, mask);
      answer.drawn.tokens.push_back(token);
      if (answer.request().logprobs) {
        answer.drawn.logprobs.push_back(token_logprobs(plain, token, *answer.request().logprobs));
      }
      if (std::find(stops.begin(), stops.end(), token) != stops.end()) break;
      if (answer.constraint) {
        answer.constraint->accept(token);
        if (answer.constraint->finished()) break;
      }
      if (i < guesses && answer.draft[i] != token) break;
    }
  } catch (const std::exception& error) {
    answer.drawn.error = error.what();
  }
}

/// Takes what was drawn into the answer and tells of it.
void Engine::take(Answer& answer) {
  Answer::Drawn drawn = std::exchange(answer.drawn, {});
  const auto& stops = answer.request().stop_token_ids;
  std::string text;
  std::optional<FinishReason> end;
  std::vector<TokenId> taken;
  for (const TokenId token : drawn.tokens) {
    ++answer.new_tokens;
    if (answer.request().counted) ++statistics_.new_tokens;
    if (std::find(stops.begin(), stops.end(), token) != stops.end()) {
      end = FinishReason::kStop;
      break;
    }
    taken.push_back(token);
    answer.tokens.push_back(token);
    text += answer.stop.push(answer.decoder.push(token));
    if (answer.stop.stopped()) end = FinishReason::kStop;
    if (!end && answer.new_tokens >= answer.owner->limit) end = FinishReason::kLength;
    if (end) break;
  }
  const bool complete = answer.constraint && drawn.error.empty() && answer.constraint->finished();
  if (complete && (!end || end == FinishReason::kLength)) end = FinishReason::kStop;
  if (answer.owner->listener && !taken.empty()) {
    GenerationUpdate update = answer.update();
    update.text = std::move(text);
    update.tokens = std::move(taken);
    drawn.logprobs.resize(std::min(drawn.logprobs.size(), update.tokens.size()));
    update.logprobs = std::move(drawn.logprobs);
    answer.owner->listener(update);
  }
  // A listener may have cancelled its own request.
  if (answer.done) return;
  if (!drawn.error.empty()) {
    finish(answer, FinishReason::kError, drawn.error);
  } else if (end) {
    finish(answer, *end);
  }
}

bool Engine::step() {
  const auto start = std::chrono::steady_clock::now();
  const at::NoGradGuard no_grad;
  expire();
  std::erase_if(answers_, [](const auto& answer) { return answer->done; });
  propose();
  const StepPlan plan = scheduler_.plan();
  if (plan.parts.empty()) return false;
  for (const auto& [from, to] : plan.copies) cache_.copy_block(from, to);
  bool counted = false;  // whether the step serves a request that is
  for (const Sequence* part : plan.parts) {
    auto& answer = static_cast<const Answer&>(*part);
    counted = counted || answer.request().counted;
    if (answer.new_tokens > 0 || answer.owner->counted || !answer.request().counted) continue;
    answer.owner->counted = true;
    statistics_.prompt_tokens += answer.prompt_tokens();
    statistics_.prefix_hit_tokens += std::min(answer.prefix_hits, answer.prompt_tokens());
  }

  std::vector<Rows> rows;
  const at::Tensor hidden = run_model(plan, rows);

  // Embeddings take hidden states; all others logits.
  std::vector<std::int64_t> logit_rows;
  struct Draw {
    Answer* answer;
    std::int64_t row;
  };
  std::vector<Draw> draws;
  std::vector<Answer*> embedded;
  for (const Rows& part : rows) {
    if (part.answer->is_embedding()) {
      pool(*part.answer, hidden.narrow(0, part.first, part.count));
      if (part.answer->completes()) embedded.push_back(part.answer);
    } else {
      draws.push_back({part.answer, std::ssize(logit_rows)});
      for (std::int64_t i = 0; i < part.count; ++i) logit_rows.push_back(part.first + i);
    }
  }
  for (Sequence* part : plan.parts) scheduler_.stored(*part, part->step);
  if (!draws.empty()) {
    const at::Tensor states =
        std::ssize(logit_rows) == hidden.size(0)
            ? hidden
            : at::index_select(hidden, 0, at::tensor(logit_rows).to(hidden.device()));
    const at::Tensor logits = decoder_.logits(states).to(at::kCPU).contiguous();
    std::vector<Draw> all;
    for (const Draw& draw : draws) {
      for (Answer* answer : fork(*draw.answer)) all.push_back({answer, draw.row});
    }
    cpu::for_units(std::ssize(all), [&](std::int64_t i) {
      draw(*all[static_cast<std::size_t>(i)].answer, logits, all[static_cast<std::size_t>(i)].row);
    });
    for (const Draw& one : all) {
      Answer& answer = *one.answer;
      if (answer.done) continue;
      const auto right = std::ssize(answer.drawn.tokens) - 1;
      if (answer.drafts && right >= 0) {
        statistics_.drafted_tokens += std::ssize(answer.draft);
        statistics_.accepted_tokens += right;
      }
      const std::int64_t before = std::ssize(answer.tokens);
      take(answer);
      // Guesses that were right are stored already.
      if (answer.drafts && !answer.done) {
        scheduler_.stored(answer, std::ssize(answer.tokens) - before - 1);
      }
    }
  }
  for (Answer* answer : embedded) {
    if (!answer->done) finish(*answer, FinishReason::kStop);
  }
  if (counted) {
    ++statistics_.steps;
    statistics_.last_step_seconds = seconds_between(start, std::chrono::steady_clock::now());
    statistics_.step_seconds += statistics_.last_step_seconds;
  }
  return !scheduler_.running().empty() || !scheduler_.waiting().empty();
}

EngineStatistics Engine::statistics() const {
  EngineStatistics result = statistics_;
  result.running = std::ssize(scheduler_.running());
  for (const Sequence* waiting : scheduler_.waiting()) {
    result.waiting += 1 + static_cast<const Answer*>(waiting)->owner->unforked;
  }
  const BlockAllocator& allocator = scheduler_.allocator();
  result.num_blocks = allocator.num_blocks();
  result.free_blocks = allocator.free_blocks();
  result.cached_blocks = allocator.kept_blocks();
  result.block_size = options_.block_size;
  result.block_bytes =
      options_.block_size *
      KeyValueCache::bytes_per_token(decoder_.config(), options_.cache_dtype.value_or(dtype_));
  for (const Sequence* running : scheduler_.running()) {
    result.stored_tokens += running->cached;
    result.held_tokens += std::ssize(running->blocks) * options_.block_size;
  }
  result.preemptions = scheduler_.preemptions();
  return result;
}

}  // namespace tigerbot
