#include "eval/perplexity.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/argmax.h>
#include <ATen/ops/clamp_min.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/full.h>
#include <ATen/ops/gather.h>
#include <ATen/ops/logical_and.h>
#include <ATen/ops/logsumexp.h>

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "base/progress.h"
#include "infer/key_value_cache.h"

namespace tigerbot {
namespace {

/// Losses of `labels` (-100 is ignored), through the output layer that generation uses.
ops::CrossEntropy losses_of(const Decoder& decoder, const at::Tensor& hidden,
                            const at::Tensor& labels) {
  if (!decoder.quantized_output().defined()) {
    return ops::cross_entropy(hidden, decoder.output_weight(), labels);
  }
  constexpr std::int64_t kRows = 256;  // their logits exist at once
  const at::Tensor known = labels >= 0;
  const at::Tensor pieces = labels.clamp_min(0);
  ops::CrossEntropy result;
  result.token_losses = at::empty({labels.size(0)}, at::kFloat);
  result.correct = at::empty({labels.size(0)}, at::kBool);
  for (std::int64_t first = 0; first < labels.size(0); first += kRows) {
    const std::int64_t rows = std::min(kRows, labels.size(0) - first);
    const auto part = [&](const at::Tensor& tensor) { return tensor.narrow(0, first, rows); };
    const at::Tensor logits = decoder.logits(part(hidden)).to(at::kFloat);
    const at::Tensor own = logits.gather(1, part(pieces).unsqueeze(1)).squeeze(1);
    part(result.token_losses).copy_((logits.logsumexp(1) - own) * part(known));
    part(result.correct).copy_((logits.argmax(1) == part(pieces)).logical_and(part(known)));
  }
  return result;
}

/// Hidden states of whole sequences in one pass through a cache of this type: as generation makes
/// them.
at::Tensor forward_through_cache(Decoder& decoder, const at::Tensor& ids,
                                 const std::vector<std::int64_t>& lengths,
                                 at::ScalarType cache_dtype) {
  constexpr std::int64_t kBlockSize = 32;
  const std::int64_t longest = *std::max_element(lengths.begin(), lengths.end());
  const std::int64_t blocks = (longest + kBlockSize - 1) / kBlockSize;
  const auto count = static_cast<std::int64_t>(lengths.size());
  const at::Device device = ids.device();
  const KeyValueCache cache(decoder.config(), count * blocks, kBlockSize, cache_dtype, device);
  StepCache step;
  step.layers = cache.layers();
  step.tables.blocks =
      at::arange(count * blocks, at::TensorOptions().dtype(at::kInt).device(device))
          .view({count, blocks});
  step.tables.context_lengths.assign(lengths.begin(), lengths.end());
  return decoder.forward(ids, make_sequences(lengths, device), &step);
}

}  // namespace

double Perplexity::perplexity() const { return std::exp(nll / static_cast<double>(tokens)); }

double Perplexity::next_token_accuracy() const {
  return static_cast<double>(correct) / static_cast<double>(tokens);
}

Perplexity measure_perplexity(LanguageModel& model, std::string_view text,
                              const PerplexityOptions& options) {
  const at::NoGradGuard no_grad;
  Decoder& decoder = model.decoder();
  const std::int64_t limit = context_length(decoder.config());
  Perplexity result;
  result.context = options.context;
  if (result.context == 0) {
    result.context = limit > 0 ? std::min<std::int64_t>(limit, 2048) : 2048;
  }
  result.stride = options.stride == 0 ? result.context : options.stride;
  if (result.context < 2) fail("--context must be at least 2");
  if (limit > 0 && result.context > limit) {
    fail("--context {}: the model's context is {}", result.context, limit);
  }
  if (result.stride < 1 || result.stride > result.context) {
    fail("--stride must be from 1 to the context, {}", result.context);
  }
  const std::vector<TokenId> ids = model.encode_text(std::string(text));
  const auto total = static_cast<std::int64_t>(ids.size());
  if (total < 2) fail("{}: {} tokens; perplexity needs at least 2", options.name, total);

  const at::Device device = decoder.output_weight().device();
  Progress progress("perplexity", ids.size(), {.unit_name = "tokens"});
  // Windows are sequences of one ragged batch: short ones share a pass.
  constexpr std::int64_t kTokensAtOnce = 2048;
  std::vector<std::int64_t> lengths;
  std::vector<TokenId> tokens;
  std::vector<std::int64_t> labels;
  std::int64_t queued = 0;  // the end of the last window in the batch
  std::int64_t done = 0;    // the end of the last window measured
  const auto flush = [&] {
    if (lengths.empty()) return;
    const at::Tensor input = at::empty({static_cast<std::int64_t>(tokens.size())}, at::kInt);
    std::copy(tokens.begin(), tokens.end(), input.data_ptr<std::int32_t>());
    const at::Tensor target = at::empty({static_cast<std::int64_t>(labels.size())}, at::kLong);
    std::copy(labels.begin(), labels.end(), target.data_ptr<std::int64_t>());
    const at::Tensor hidden =
        options.cached ? forward_through_cache(
                             decoder, input.to(device), lengths,
                             options.cache_dtype.value_or(decoder.output_weight().scalar_type()))
                       : decoder.forward(input.to(device), make_sequences(lengths, device));
    const ops::CrossEntropy loss = losses_of(decoder, hidden, target.to(device));
    const at::Tensor losses = loss.token_losses.to(at::kCPU);
    const at::Tensor correct = loss.correct.to(at::kCPU);
    for (std::size_t i = 0; i < labels.size(); ++i) {
      if (labels[i] < 0) continue;
      result.nll += losses.data_ptr<float>()[i];
      result.correct += correct.data_ptr<bool>()[i] ? 1 : 0;
      ++result.tokens;
    }
    lengths.clear();
    tokens.clear();
    labels.clear();
    progress.advance(static_cast<std::uint64_t>(queued - done));
    done = queued;
  };
  std::int64_t counted = 0;  // tokens before this one have been predicted
  for (std::int64_t begin = 0; counted < total; begin += result.stride) {
    const std::int64_t end = std::min(begin + result.context, total);
    if (static_cast<std::int64_t>(tokens.size()) + end - begin > kTokensAtOnce) flush();
    lengths.push_back(end - begin);
    for (std::int64_t i = begin; i < end; ++i) {
      tokens.push_back(ids[static_cast<std::size_t>(i)]);
      const bool counts = i + 1 < end && i + 1 >= counted;
      labels.push_back(counts ? ids[static_cast<std::size_t>(i + 1)] : -100);
    }
    counted = queued = end;
  }
  flush();
  progress.finish();
  return result;
}

}  // namespace tigerbot
