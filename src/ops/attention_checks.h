#pragma once

#include "ops/ops.h"

/// Shape, type and length checks that attention's entry points share; a mistake here is the
/// program's, so they throw an Error of the failure kind.
namespace tigerbot::ops {

void check_attention(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                     const Sequences& sequences, const AttentionOptions& options);

/// `x`: q or k of the step, [tokens, ..., d].
void check_paged(const at::Tensor& x, const PagedKeyValues& cache, const Sequences& sequences,
                 const BlockTables& tables);

/// The cache is of the rows' type, or of int8 with scales.
void check_cache_types(at::ScalarType type, const PagedKeyValues& cache);

/// k and v [tokens, kv_heads, d] have the cache's heads.
void check_paged_heads(const at::Tensor& k, const at::Tensor& v, const PagedKeyValues& cache);

void check_paged_options(const at::Tensor& q, const PagedKeyValues& cache,
                         const AttentionOptions& options);

/// Whether our CPU kernels take this tensor: bfloat16 or float32 on a CPU.
bool has_attention_kernels(const at::Tensor& x);

/// The same values with the last dimension contiguous, copied only where it is not.
at::Tensor with_contiguous_rows(const at::Tensor& x);

}  // namespace tigerbot::ops
