#include "ops/cross_entropy.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/argmax.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/logsumexp.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/ones_like.h>
#include <ATen/ops/sum.h>
#include <ATen/ops/where.h>
#include <ATen/ops/zeros.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>
#include <optional>

#include "base/error.h"
#include "ops/checks.h"
#include "ops/composed.h"
#include "ops/ops.h"

namespace tigerbot::ops {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

constexpr std::int64_t kChunkTokens = 256;

void check_cross_entropy(const at::Tensor& hidden, const at::Tensor& weight,
                         const at::Tensor& labels, const at::Tensor& token_weights) {
  check_floating("cross_entropy", "hidden", hidden);
  check_shape("cross_entropy", "hidden", hidden, {-1, -1});
  check_shape("cross_entropy", "weight", weight, {-1, hidden.size(1)});
  if (weight.scalar_type() != hidden.scalar_type() || weight.device() != hidden.device()) {
    fail("cross_entropy: weight is {} but hidden is {}; they must agree in type and device",
         describe(weight), describe(hidden));
  }
  check_shape("cross_entropy", "labels", labels, {hidden.size(0)});
  if (labels.scalar_type() != at::kLong || labels.device() != hidden.device()) {
    fail("cross_entropy: labels is {}; convert it to int64 on hidden's device", describe(labels));
  }
  if (token_weights.defined()) {
    check_shape("cross_entropy", "token_weights", token_weights, {hidden.size(0)});
    if (token_weights.scalar_type() != at::kFloat || token_weights.device() != hidden.device()) {
      fail("cross_entropy: token_weights is {}; convert it to float32 on hidden's device",
           describe(token_weights));
    }
  }
  if (!labels.is_cpu()) return;
  const at::Tensor contiguous = labels.contiguous();
  const std::int64_t* p = contiguous.const_data_ptr<std::int64_t>();
  for (std::int64_t i = 0; i < contiguous.numel(); ++i) {
    if (p[i] != kIgnoredLabel && (p[i] < 0 || p[i] >= weight.size(0))) {
      fail("cross_entropy: token {} has label {}; labels run from 0 to {}, {} is ignored", i, p[i],
           weight.size(0) - 1, kIgnoredLabel);
    }
  }
}

struct ComposedCrossEntropy : torch::autograd::Function<ComposedCrossEntropy> {
  static variable_list forward(AutogradContext* ctx, const at::Tensor& hidden,
                               const at::Tensor& weight, const at::Tensor& labels,
                               const std::optional<at::Tensor>& given_weights,
                               bool with_gradients) {
    const at::Tensor token_weights = given_weights.value_or(at::Tensor());
    const at::ScalarType type = hidden.scalar_type();
    const at::ScalarType accumulate = accumulate_type(type);
    const std::int64_t tokens = hidden.size(0);
    const at::Tensor token_losses = at::empty({tokens}, hidden.options().dtype(accumulate));
    const at::Tensor correct = at::empty({tokens}, hidden.options().dtype(at::kBool));
    at::Tensor d_hidden;
    at::Tensor d_weight;
    if (with_gradients) {
      d_hidden = at::empty_like(hidden);
      d_weight = at::zeros(weight.sizes(), weight.options().dtype(accumulate));
    }
    for (std::int64_t begin = 0; begin < tokens; begin += kChunkTokens) {
      const std::int64_t rows = std::min(kChunkTokens, tokens - begin);
      const at::Tensor h = hidden.narrow(0, begin, rows);
      const at::Tensor label = labels.narrow(0, begin, rows);
      const at::Tensor counted = label != kIgnoredLabel;
      const at::Tensor safe_label = at::where(counted, label, at::Scalar(0)).unsqueeze(1);
      const at::Tensor logits = at::matmul(h, weight.t()).to(accumulate);
      const at::Tensor lse = at::logsumexp(logits, {1}, true);
      const at::Tensor nll = (lse - logits.gather(1, safe_label)).squeeze(1);
      token_losses.narrow(0, begin, rows).copy_(at::where(counted, nll, at::Scalar(0.0)));
      correct.narrow(0, begin, rows).copy_((at::argmax(logits, 1) == label).logical_and(counted));
      if (!with_gradients) continue;
      at::Tensor scale = counted.to(accumulate);
      if (token_weights.defined()) scale = scale * token_weights.narrow(0, begin, rows);
      scale = scale.unsqueeze(1);
      const at::Tensor gradient =
          ((logits - lse).exp() * scale).scatter_add(1, safe_label, -scale).to(type);
      d_hidden.narrow(0, begin, rows).copy_(at::matmul(gradient, weight));
      d_weight.add_(at::matmul(gradient.t(), h));
    }
    if (with_gradients) ctx->save_for_backward({d_hidden, d_weight.to(type)});
    const at::Tensor weighted =
        token_weights.defined() ? token_losses * token_weights : token_losses;
    ctx->mark_non_differentiable({token_losses, correct});
    return {weighted.sum(), token_losses, correct};
  }

  static variable_list backward(AutogradContext* ctx, variable_list gradients) {
    const variable_list saved = ctx->get_saved_variables();
    const at::Tensor& d_loss = gradients[0];
    return {(saved[0] * d_loss).to(saved[0].scalar_type()),
            (saved[1] * d_loss).to(saved[1].scalar_type()), at::Tensor(), at::Tensor(),
            at::Tensor()};
  }
};

bool wants_gradients(const at::Tensor& hidden, const at::Tensor& weight) {
  return at::GradMode::is_enabled() && (hidden.requires_grad() || weight.requires_grad());
}

}  // namespace

CrossEntropy composed::cross_entropy(const at::Tensor& hidden, const at::Tensor& weight,
                                     const at::Tensor& labels, const at::Tensor& token_weights) {
  // Autograd takes an absent input as nullopt only.
  const auto weights =
      token_weights.defined() ? std::optional<at::Tensor>(token_weights) : std::nullopt;
  const variable_list results =
      ComposedCrossEntropy::apply(hidden, weight, labels, weights, wants_gradients(hidden, weight));
  return {results[0], results[1], results[2]};
}

CrossEntropy cross_entropy(const at::Tensor& hidden, const at::Tensor& weight,
                           const at::Tensor& labels, const at::Tensor& token_weights) {
  check_cross_entropy(hidden, weight, labels, token_weights);
  if (takes_kernels(hidden)) {
    return fused_cross_entropy(hidden, weight, labels, token_weights);
  }
  return composed::cross_entropy(hidden, weight, labels, token_weights);
}

}  // namespace tigerbot::ops
