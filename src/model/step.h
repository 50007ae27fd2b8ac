#pragma once

#include "model/decoder.h"
#include "ops/ops.h"

namespace tigerbot {

/// Attention of one layer in one step: whole sequences without a cache; with one, this step's keys
/// and values are stored and the queries see all that is there.
/// q [tokens, heads, d], k and v [tokens, kv_heads, d] -> [tokens, heads, d].
at::Tensor attend(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                  const Sequences& sequences, const StepCache* cache, std::size_t layer,
                  const ops::AttentionOptions& options);

/// The rows of the hidden states that the step wants.
at::Tensor wanted_rows(const at::Tensor& hidden, const StepCache* cache);

/// Tokens of each sequence, what the cache already holds included.
std::vector<std::int64_t> whole_lengths(const Sequences& sequences, const StepCache* cache);

}  // namespace tigerbot
