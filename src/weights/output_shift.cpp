#include "weights/output_shift.h"

#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/dot.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/eye.h>
#include <ATen/ops/item.h>
#include <ATen/ops/linalg_solve.h>
#include <ATen/ops/log_sigmoid.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/mean.h>
#include <ATen/ops/mv.h>
#include <ATen/ops/sigmoid.h>
#include <ATen/ops/softplus.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "base/logging.h"
#include "base/progress.h"
#include "base/random.h"
#include "base/utf8.h"
#include "model/decoder.h"
#include "tokenizer/byte_level_alphabet.h"

namespace tigerbot {
namespace {

constexpr std::int64_t kOldSequences = 64, kNewSequences = 32, kSteps = 48;
constexpr double kNewShare = 0.7;  // of the pieces in a sample of new ones
constexpr std::int64_t kBlockSize = 16;
constexpr std::uint64_t kStream = 0x6f757470757473;  // of the random numbers

/// Mean loss of old text: -log of the probability that stays with the old pieces.
double old_loss(const GateContexts& contexts, const at::Tensor& shift) {
  return at::softplus(at::mv(contexts.hidden, shift) + contexts.offset).mean().item<double>();
}

/// The objective of the regression.
double objective(const GateContexts& old, const GateContexts& fresh, double weight, double ridge,
                 const at::Tensor& shift) {
  const at::Tensor gate = at::mv(fresh.hidden, shift) + fresh.offset;
  return weight * old_loss(old, shift) - at::log_sigmoid(gate).mean().item<double>() +
         0.5 * ridge * shift.dot(shift).item<double>();
}

/// Newton's method from `shift` on.
at::Tensor fit(const GateContexts& old, const GateContexts& fresh, double weight, double ridge,
               at::Tensor shift) {
  double value = objective(old, fresh, weight, ridge, shift);
  const std::int64_t features = shift.size(0);
  for (int round = 0; round < 30; ++round) {
    at::Tensor gradient = shift * ridge;
    at::Tensor curvature = at::eye(features, shift.options()) * ridge;
    const auto add = [&](const GateContexts& contexts, double label, double scale) {
      const at::Tensor p = at::sigmoid(at::mv(contexts.hidden, shift) + contexts.offset);
      const at::Tensor& x = contexts.hidden;
      scale /= static_cast<double>(x.size(0));
      gradient += at::mv(x.t(), p - label) * scale;
      curvature += at::matmul(x.t(), x * (p * (1 - p) * scale).unsqueeze(1));
    };
    add(old, 0, weight);
    add(fresh, 1, 1);
    const at::Tensor step = at::linalg_solve(curvature, gradient);
    double length = 1, next = 0;
    at::Tensor moved;
    for (int halving = 0; halving < 30; ++halving, length /= 2) {
      moved = shift - step * length;
      next = objective(old, fresh, weight, ridge, moved);
      if (next <= value) break;
    }
    if (!(next < value)) break;
    const bool done = value - next < 1e-7 * (1 + std::abs(value));
    shift = moved;
    value = next;
    if (done) break;
  }
  return shift;
}

/// The u for which h.u is as near to 1 in all contexts as it can be: a final norm's output has a
/// part that hardly depends on the context.
at::Tensor constant_direction(const at::Tensor& a, const at::Tensor& b, double ridge) {
  const auto products = [](const at::Tensor& x) {
    return at::matmul(x.t(), x) / static_cast<double>(x.size(0));
  };
  const at::Tensor curvature = products(a) + products(b) + at::eye(a.size(1), a.options()) * ridge;
  return at::linalg_solve(curvature, a.mean(0) + b.mean(0));
}

/// `shift` less the smallest multiple of `lower` that brings the loss of old text to `target`; as
/// low as 60 nats go where none does.
at::Tensor lowered(const GateContexts& old, const at::Tensor& shift, const at::Tensor& lower,
                   double target) {
  double enough = 60, little = 0;
  if (old_loss(old, shift) <= target) return shift;
  for (int halving = 0; halving < 20; ++halving) {
    const double middle = (enough + little) / 2;
    (old_loss(old, shift - lower * middle) <= target ? enough : little) = middle;
  }
  return shift - lower * enough;
}

/// A word of the old vocabulary to begin a text with.
bool is_word(const Tokenizer& tokenizer, TokenId id) {
  if (tokenizer.is_special(id)) return false;
  const std::string piece = tokenizer.piece(id);
  const std::string text = from_byte_level(piece).value_or(piece);
  return text.size() > 2 && is_valid_utf8(text);
}

TokenId first_piece(const Tokenizer& tokenizer, std::int64_t begin, std::int64_t end,
                    std::uint64_t seed, std::uint64_t sequence) {
  TokenId id = 0;
  for (std::uint64_t attempt = 0; attempt < 100; ++attempt) {
    const RandomKey key{seed, kStream + 1, sequence * 100 + attempt};
    id = static_cast<TokenId>(begin + static_cast<std::int64_t>(random_below(
                                          key, static_cast<std::uint64_t>(end - begin))));
    if (is_word(tokenizer, id)) break;
  }
  return id;
}

double log_sum(const float* logits, std::int64_t begin, std::int64_t end) {
  const float most = *std::max_element(logits + begin, logits + end);
  double sum = 0;
  for (std::int64_t k = begin; k < end; ++k) sum += std::exp(logits[k] - most);
  return most + std::log(sum);
}

/// A piece of [begin, end) by its probability among them, whose logits have the log-sum `total`.
std::int32_t draw(const float* logits, std::int64_t begin, std::int64_t end, double total,
                  double uniform) {
  double sum = 0;
  for (std::int64_t k = begin; k < end; ++k) {
    sum += std::exp(logits[k] - total);
    if (sum > uniform) return static_cast<std::int32_t>(k);
  }
  return static_cast<std::int32_t>(end - 1);
}

at::ScalarType compute_type(const ModelFiles& files) {
  for (const StoredTensor& tensor : files.tensors->tensors())
    if (tensor.shape.size() == 2 && tensor.type == "F32") return at::kFloat;
  return at::kBFloat16;
}

/// The sequences of the samples in a cache of their own, one token a step.
class Sampler {
 public:
  Sampler(Decoder& decoder, std::int64_t count, std::int64_t steps)
      : decoder_(decoder), lengths_(static_cast<std::size_t>(count), 0) {
    const ModelConfig& config = decoder.config();
    const std::int64_t blocks = (steps + kBlockSize - 1) / kBlockSize;
    const std::vector<std::int64_t> shape{count * blocks, config.num_key_value_heads, kBlockSize,
                                          config.head_dim};
    for (std::int64_t layer = 0; layer < config.num_hidden_layers; ++layer)
      cache_.layers.push_back({at::zeros(shape, decoder.output_weight().options()),
                               at::zeros(shape, decoder.output_weight().options())});
    cache_.tables.blocks = at::arange(count * blocks, at::kInt).view({count, blocks});
  }

  /// ids int32 [count] -> hidden states float [count, hidden_size].
  at::Tensor step(const at::Tensor& ids) {
    const Sequences sequences =
        make_sequences(std::vector<std::int64_t>(lengths_.size(), 1), lengths_);
    cache_.tables.context_lengths.clear();
    for (std::int64_t& length : lengths_)
      cache_.tables.context_lengths.push_back(static_cast<std::int32_t>(++length));
    return decoder_.forward(ids, sequences, &cache_).to(at::kFloat);
  }

 private:
  Decoder& decoder_;
  StepCache cache_;
  std::vector<std::int64_t> lengths_;
};

GateContexts gather(const std::vector<at::Tensor>& hidden, const std::vector<double>& offsets) {
  GateContexts contexts{at::stack(hidden).to(at::kDouble),
                        at::empty({static_cast<std::int64_t>(offsets.size())}, at::kDouble)};
  std::ranges::copy(offsets, contexts.offset.data_ptr<double>());
  return contexts;
}

}  // namespace

OutputShift fit_output_shift(const GateContexts& old_fit, const GateContexts& old_check,
                             const GateContexts& new_fit, const GateContexts& new_check,
                             double target) {
  OutputShift result;
  const at::Tensor none = at::zeros({old_fit.hidden.size(1)}, at::kDouble);
  result.contexts = old_fit.hidden.size(0) + new_fit.hidden.size(0);
  result.unshifted_loss = old_loss(old_check, none);
  const double scale = (old_fit.hidden * old_fit.hidden).mean().item<double>();
  const at::Tensor lower = constant_direction(old_fit.hidden, new_fit.hidden, 1e-3 * scale);
  double best = -std::numeric_limits<double>::infinity();
  // The first candidate is the constant alone. Weaker ridges do better on the samples and worse on
  // real text in the new languages, which is not quite what a model that has just grown writes.
  for (const double ridge : {0.0, 1.0, 1e-1}) {
    at::Tensor shift = ridge == 0 ? none : fit(old_fit, new_fit, 10, ridge * scale, none);
    shift = lowered(old_check, shift, lower, target);
    const double loss = old_loss(old_check, shift);
    const double score =
        at::log_sigmoid(at::mv(new_check.hidden, shift) + new_check.offset).mean().item<double>();
    log_debug("output shift: ridge {}: old text {:.3g}, new pieces {:.3f}", ridge, loss, score);
    if (ridge != 0 && (loss > target || score <= best)) continue;
    best = score;
    result.old_text_loss = loss;
    result.new_piece_loss = -score;
    result.shift = shift.to(at::kFloat);
  }
  return result;
}

OutputShift sample_output_shift(const ModelFiles& grown, const Tokenizer& tokenizer,
                                std::int64_t old_pieces, std::int64_t pieces, double target,
                                std::uint64_t seed) {
  const at::ScalarType type = compute_type(grown);
  const auto decoder =
      make_decoder(grown.config, grown.source(type), type, at::kCPU, grown.quantized_source());
  const at::Tensor output =
      decoder->output_weight().narrow(0, 0, pieces).to(at::kFloat).t().contiguous();
  constexpr std::int64_t count = kOldSequences + kNewSequences;
  const std::int64_t steps = std::min(kSteps, grown.config.max_position_embeddings);
  Sampler sampler(*decoder, count, steps);
  at::Tensor ids = at::empty({count}, at::kInt);
  auto* next = ids.data_ptr<std::int32_t>();
  for (std::int64_t s = 0; s < count; ++s) {
    const bool old = s < kOldSequences;
    next[s] = first_piece(tokenizer, old ? 0 : old_pieces, old ? old_pieces : pieces, seed,
                          static_cast<std::uint64_t>(s));
  }
  // Every second sample is kept back from the fit.
  std::vector<at::Tensor> hidden[4];
  std::vector<double> offsets[4];
  Progress progress("sample", static_cast<std::uint64_t>(steps * count), {.unit_name = "tokens"});
  for (std::int64_t t = 0; t < steps; ++t) {
    const at::Tensor states = sampler.step(ids);
    const at::Tensor logits = at::matmul(states, output).contiguous();
    std::vector<double> odds(count);
    std::vector<char> fresh(count);
    at::parallel_for(0, count, 1, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t s = begin; s < end; ++s) {
        const float* row = logits.const_data_ptr<float>() + s * pieces;
        const double of_old = log_sum(row, 0, old_pieces),
                     of_new = log_sum(row, old_pieces, pieces);
        const auto place = static_cast<std::uint64_t>(t * count + s);
        odds[s] = of_new - of_old;
        fresh[s] =
            s >= kOldSequences && random_uniform_double({seed, kStream + 2, place}) < kNewShare;
        next[s] = draw(row, fresh[s] ? old_pieces : 0, fresh[s] ? pieces : old_pieces,
                       fresh[s] ? of_new : of_old, random_uniform_double({seed, kStream, place}));
      }
    });
    for (std::int64_t s = 0; s < count; ++s) {
      if (s >= kOldSequences && !fresh[s]) continue;
      const auto kind = static_cast<std::size_t>((s >= kOldSequences ? 2 : 0) + s % 2);
      hidden[kind].push_back(states[s]);
      offsets[kind].push_back(odds[s]);
    }
    progress.advance(static_cast<std::uint64_t>(count));
  }
  progress.finish();
  return fit_output_shift(gather(hidden[0], offsets[0]), gather(hidden[1], offsets[1]),
                          gather(hidden[2], offsets[2]), gather(hidden[3], offsets[3]), target);
}

}  // namespace tigerbot
