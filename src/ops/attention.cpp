#include "ops/cpu/attention.h"

#include <ATen/core/grad_mode.h>
#include <torch/csrc/autograd/custom_function.h>

#include "ops/attention_checks.h"
#include "ops/attention_composed.h"
#include "ops/ops.h"
#include "ops/recorded.h"

namespace tigerbot::ops {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

/// Saves the output and the logsumexp of each row; the backward pass makes the probabilities anew.
class AttentionFunction : public torch::autograd::Function<AttentionFunction> {
 public:
  static at::Tensor forward(AutogradContext* context, const at::Tensor& q, const at::Tensor& k,
                            const at::Tensor& v, const std::vector<std::int32_t>& cu_seqlens,
                            const AttentionOptions& options) {
    const Recorded recorded("tigerbot::attention");
    const cpu::AttentionForward result =
        cpu::attention_forward(q, k, v, cu_seqlens, options, /*with_logsumexp=*/true);
    context->save_for_backward({q, k, v, result.output, result.logsumexp, options.alibi_slopes});
    context->saved_data["cu_seqlens"] =
        std::vector<std::int64_t>(cu_seqlens.begin(), cu_seqlens.end());
    context->saved_data["causal"] = options.causal;
    context->saved_data["scale"] = options.scale;
    context->saved_data["sliding_window"] = options.sliding_window;
    return result.output;
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    const Recorded recorded("tigerbot::attention");
    const variable_list saved = context->get_saved_variables();
    const std::vector<std::int64_t> offsets = context->saved_data["cu_seqlens"].toIntVector();
    AttentionOptions options;
    options.causal = context->saved_data["causal"].toBool();
    options.scale = context->saved_data["scale"].toOptional<double>();
    options.sliding_window = context->saved_data["sliding_window"].toInt();
    options.alibi_slopes = saved[5];
    const cpu::AttentionGradients result = cpu::attention_backward(
        with_contiguous_rows(gradients[0]), saved[0], saved[1], saved[2], {saved[3], saved[4]},
        std::vector<std::int32_t>(offsets.begin(), offsets.end()), options);
    return {result.q, result.k, result.v, {}, {}};
  }
};

}  // namespace

at::Tensor attention(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                     const Sequences& sequences, const AttentionOptions& options) {
  check_attention(q, k, v, sequences, options);
  if (!has_attention_kernels(q)) return composed::attention(q, k, v, sequences, options);
  const at::Tensor q_rows = with_contiguous_rows(q);
  const at::Tensor k_rows = with_contiguous_rows(k);
  const at::Tensor v_rows = with_contiguous_rows(v);
  if (at::GradMode::is_enabled() && (q.requires_grad() || k.requires_grad() || v.requires_grad())) {
    return AttentionFunction::apply(q_rows, k_rows, v_rows, sequences.cu_seqlens, options);
  }
  return cpu::attention_forward(q_rows, k_rows, v_rows, sequences.cu_seqlens, options,
                                /*with_logsumexp=*/false)
      .output;
}

}  // namespace tigerbot::ops
