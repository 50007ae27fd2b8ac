#pragma once

#include <ATen/core/Tensor.h>

#include "ops/ops.h"

/// Attention on the CPU, bfloat16 or float32: which tile of which sequence runs where. Shapes as in
/// ops.h, already checked; the last dimension of every tensor is contiguous.
namespace tigerbot::cpu {

struct AttentionForward {
  at::Tensor output;
  /// float32 [heads, tokens], base 2 of the scores' sums; undefined unless asked for.
  at::Tensor logsumexp;
};

AttentionForward attention_forward(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                                   const std::vector<std::int32_t>& cu_seqlens,
                                   const ops::AttentionOptions& options, bool with_logsumexp);

struct AttentionGradients {
  at::Tensor q;
  at::Tensor k;
  at::Tensor v;
};

/// Same inputs and thread count or not: the same bits.
AttentionGradients attention_backward(const at::Tensor& output_gradient, const at::Tensor& q,
                                      const at::Tensor& k, const at::Tensor& v,
                                      const AttentionForward& forward,
                                      const std::vector<std::int32_t>& cu_seqlens,
                                      const ops::AttentionOptions& options);

at::Tensor paged_attention(const at::Tensor& q, const PagedKeyValues& cache,
                           const std::vector<std::int32_t>& cu_seqlens, const BlockTables& tables,
                           const ops::AttentionOptions& options);

}  // namespace tigerbot::cpu
