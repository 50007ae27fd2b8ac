// Cross entropy fused with the output layer.
//
// The tokens are taken kChunkTokens at a time. A chunk's logits are a product into a buffer that
// every chunk uses again; a row kernel turns each row into its loss and, in place, into the
// gradient of its logits; two more products give the gradients of hidden and weight. So there are
// three products and no more, and the logits of one chunk are all that exists of them. Tokens whose
// label is ignored take part in none of it.
//
// The gradient of a bfloat16 weight is a sum over chunks that must not be rounded to bfloat16 each
// time. Its upper half is the result tensor itself, and 8 more bits of each element stand in a byte
// tensor beside it: 24-bit sums at a quarter of the memory of float32 ones.

#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>
#include <cstring>
#include <optional>
#include <vector>

#include "base/error.h"
#include "ops/cpu/fused_kernels.h"
#include "ops/cross_entropy.h"
#include "ops/elementwise.h"
#include "ops/recorded.h"

namespace tigerbot::ops {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

constexpr std::int64_t kChunkTokens = 256;
constexpr std::int64_t kWeightBlock = 4096;  // pieces whose gradient is added at a time

/// The tokens that count, in order, or none where all do.
std::optional<std::vector<std::int64_t>> counted_tokens(const at::Tensor& labels) {
  const auto* p = labels.const_data_ptr<std::int64_t>();
  std::vector<std::int64_t> counted;
  for (std::int64_t i = 0; i < labels.size(0); ++i) {
    if (p[i] != kIgnoredLabel) counted.push_back(i);
  }
  if (static_cast<std::int64_t>(counted.size()) == labels.size(0)) return std::nullopt;
  return counted;
}

/// Rows of a [tokens, features] tensor, gathered or as they lie.
class Rows {
 public:
  Rows(std::int64_t tokens, std::optional<std::vector<std::int64_t>> counted)
      : counted_(std::move(counted)),
        size_(counted_ ? static_cast<std::int64_t>(counted_->size()) : tokens) {}

  std::int64_t size() const { return size_; }
  std::int64_t token(std::int64_t row) const { return counted_ ? (*counted_)[row] : row; }

  at::Tensor gather(const at::Tensor& x, std::int64_t begin, std::int64_t rows) const {
    if (!counted_) return x.narrow(0, begin, rows);
    at::Tensor gathered = at::empty({rows, x.size(1)}, x.options());
    for (std::int64_t i = 0; i < rows; ++i) copy_row(gathered, i, x, token(begin + i));
    return gathered;
  }

  void scatter(const at::Tensor& from, const at::Tensor& x, std::int64_t begin) const {
    for (std::int64_t i = 0; i < from.size(0); ++i) copy_row(x, token(begin + i), from, i);
  }

  bool gathers() const { return counted_.has_value(); }

 private:
  static void copy_row(const at::Tensor& to, std::int64_t to_row, const at::Tensor& from,
                       std::int64_t from_row) {
    const std::int64_t width = from.size(1);
    std::memcpy(mutable_element(to, to_row * width), element(from, from_row * width),
                static_cast<std::size_t>(width) * from.element_size());
  }

  std::optional<std::vector<std::int64_t>> counted_;
  std::int64_t size_;
};

/// Adds gradient^T hidden of each chunk to the gradient of the weight.
class WeightGradient {
 public:
  WeightGradient(const at::Tensor& weight, std::int64_t chunks)
      : result_(chunks == 0 ? at::zeros_like(weight) : at::empty_like(weight)), chunks_(chunks) {
    if (chunks_ <= 1 || weight.scalar_type() != at::kBFloat16) return;
    low_ = at::zeros(weight.sizes(), weight.options().dtype(at::kByte));
    part_ = at::empty({std::min(kWeightBlock, weight.size(0)), weight.size(1)}, weight.options());
  }

  /// gradient [rows, pieces], hidden [rows, features].
  void add(const at::Tensor& gradient, const at::Tensor& hidden) {
    const bool last = ++added_ == chunks_;
    if (added_ == 1) {
      at::mm_out(result_, gradient.t(), hidden);
    } else if (!low_.defined()) {
      result_.addmm_(gradient.t(), hidden);
    } else {
      add_blocks(gradient, hidden, last);
    }
  }

  const at::Tensor& result() const { return result_; }

 private:
  void add_blocks(const at::Tensor& gradient, const at::Tensor& hidden, bool last) {
    const cpu::FusedKernels& kernels = cpu::fused_kernels(true);
    const std::int64_t pieces = result_.size(0);
    const std::int64_t width = result_.size(1);
    for (std::int64_t begin = 0; begin < pieces; begin += kWeightBlock) {
      const std::int64_t count = std::min(kWeightBlock, pieces - begin);
      at::Tensor part = part_.narrow(0, 0, count);
      at::mm_out(part, gradient.narrow(1, begin, count).t(), hidden);
      const Recorded recorded("tigerbot::add_split", count * width * (2 + 2 * 2 + 2 * 1));
      parallel_elements(count * width, [&](std::int64_t first, std::int64_t end) {
        const std::int64_t at = begin * width + first;
        kernels.add_split(end - first, static_cast<const std::uint16_t*>(element(part, first)),
                          static_cast<std::uint16_t*>(mutable_element(result_, at)),
                          low_.mutable_data_ptr<std::uint8_t>() + at, last);
      });
    }
  }

  at::Tensor result_;
  at::Tensor low_;
  at::Tensor part_;
  std::int64_t chunks_;
  std::int64_t added_ = 0;
};

struct FusedCrossEntropy : torch::autograd::Function<FusedCrossEntropy> {
  static variable_list forward(AutogradContext* ctx, const at::Tensor& given_hidden,
                               const at::Tensor& given_weight, const at::Tensor& given_labels,
                               const std::optional<at::Tensor>& given_token_weights,
                               bool hidden_gradient, bool weight_gradient) {
    const Recorded recorded("tigerbot::cross_entropy");
    const at::Tensor hidden = given_hidden.contiguous();
    const at::Tensor weight = given_weight.contiguous();
    const at::Tensor labels = given_labels.contiguous();
    const at::Tensor token_weights =
        given_token_weights ? given_token_weights->contiguous() : at::Tensor();
    const auto* label = labels.const_data_ptr<std::int64_t>();
    const float* factor = token_weights.defined() ? token_weights.const_data_ptr<float>() : nullptr;
    const std::int64_t tokens = hidden.size(0);
    const std::int64_t pieces = weight.size(0);
    const bool gradients = hidden_gradient || weight_gradient;

    const Rows counted(tokens, counted_tokens(labels));
    const std::int64_t chunks = (counted.size() + kChunkTokens - 1) / kChunkTokens;
    const std::int64_t per_chunk = chunks == 0 ? 0 : (counted.size() + chunks - 1) / chunks;

    const at::Tensor token_losses = at::zeros({tokens}, hidden.options().dtype(at::kFloat));
    const at::Tensor correct = at::zeros({tokens}, hidden.options().dtype(at::kBool));
    auto* losses = token_losses.mutable_data_ptr<float>();
    auto* right = correct.mutable_data_ptr<bool>();
    const at::Tensor buffer = at::empty({per_chunk, pieces}, hidden.options());
    at::Tensor d_hidden;
    if (hidden_gradient) {
      d_hidden = counted.gathers() || tokens == 0 ? at::zeros_like(hidden) : at::empty_like(hidden);
    }
    std::optional<WeightGradient> d_weight;
    if (weight_gradient) d_weight.emplace(weight, chunks);

    const cpu::FusedKernels& kernels = cpu::fused_kernels(hidden.scalar_type() == at::kBFloat16);
    for (std::int64_t begin = 0; begin < counted.size(); begin += per_chunk) {
      const std::int64_t rows = std::min(per_chunk, counted.size() - begin);
      const at::Tensor h = counted.gather(hidden, begin, rows);
      at::Tensor logits = buffer.narrow(0, 0, rows);
      at::mm_out(logits, h, weight.t());
      std::optional<Recorded> softmax;
      softmax.emplace("tigerbot::softmax",
                      static_cast<std::int64_t>(logits.nbytes()) * (gradients ? 2 : 1));
      at::parallel_for(0, rows, 1, [&](std::int64_t first, std::int64_t last) {
        for (std::int64_t row = first; row < last; ++row) {
          const std::int64_t token = counted.token(begin + row);
          cpu::CrossEntropyRow task;
          task.pieces = pieces;
          task.logits = mutable_element(logits, row * pieces);
          task.label = label[token];
          task.gradient = gradients;
          task.factor = factor == nullptr ? 1.0f : factor[token];
          const cpu::CrossEntropyLoss loss = kernels.cross_entropy_row(task);
          losses[token] = loss.loss;
          right[token] = loss.correct;
        }
      });
      softmax.reset();
      if (weight_gradient) d_weight->add(logits, h);
      if (!hidden_gradient) continue;
      if (counted.gathers()) {
        counted.scatter(at::mm(logits, weight), d_hidden, begin);
      } else {
        at::Tensor part = d_hidden.narrow(0, begin, rows);
        at::mm_out(part, logits, weight);
      }
    }

    double sum = 0;
    for (std::int64_t i = 0; i < tokens; ++i) {
      sum += static_cast<double>(losses[i]) * (factor == nullptr ? 1.0 : factor[i]);
    }
    const at::Tensor loss = at::empty({}, token_losses.options());
    *loss.mutable_data_ptr<float>() = static_cast<float>(sum);
    if (hidden_gradient) ctx->saved_data["hidden"] = d_hidden;
    if (weight_gradient) ctx->saved_data["weight"] = d_weight->result();
    ctx->saved_data["ready"] = gradients;
    ctx->mark_non_differentiable({token_losses, correct});
    return {loss, token_losses, correct};
  }

  // The gradients were made in the forward pass; here they are handed over, not copied.
  static variable_list backward(AutogradContext* ctx, variable_list upstream) {
    if (!ctx->saved_data["ready"].toBool()) {
      fail_internal("cross_entropy: its gradients were taken before; run the forward pass again");
    }
    ctx->saved_data["ready"] = false;
    const auto d_loss = upstream[0].item<double>();
    const auto take = [&](const char* name) {
      at::Tensor gradient;
      const auto found = ctx->saved_data.find(name);
      if (found == ctx->saved_data.end()) return gradient;
      gradient = found->second.toTensor();
      ctx->saved_data.erase(found);
      if (d_loss != 1.0) gradient.mul_(d_loss);
      return gradient;
    };
    at::Tensor d_hidden = take("hidden");
    at::Tensor d_weight = take("weight");
    return {d_hidden, d_weight, at::Tensor(), at::Tensor(), at::Tensor(), at::Tensor()};
  }
};

}  // namespace

CrossEntropy fused_cross_entropy(const at::Tensor& hidden, const at::Tensor& weight,
                                 const at::Tensor& labels, const at::Tensor& token_weights) {
  const bool gradients = at::GradMode::is_enabled();
  const variable_list results = FusedCrossEntropy::apply(
      hidden, weight, labels, token_weights.defined() ? std::optional(token_weights) : std::nullopt,
      gradients && hidden.requires_grad(), gradients && weight.requires_grad());
  return {results[0], results[1], results[2]};
}

}  // namespace tigerbot::ops
