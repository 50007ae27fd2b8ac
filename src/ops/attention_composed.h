#pragma once

#include "ops/ops.h"

/// Attention composed of ATen's operations, for devices and types without kernels of our own, and
/// the plain statement that those kernels are tested against. Differentiable through ATen.
namespace tigerbot::ops::composed {

at::Tensor attention(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                     const Sequences& sequences, const AttentionOptions& options = {});

void store_key_values(const at::Tensor& k, const at::Tensor& v, const Sequences& sequences,
                      const BlockTables& tables, const PagedKeyValues& cache);

at::Tensor paged_attention(const at::Tensor& q, const PagedKeyValues& cache,
                           const Sequences& sequences, const BlockTables& tables,
                           const AttentionOptions& options = {});

}  // namespace tigerbot::ops::composed
