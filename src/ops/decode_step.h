#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <optional>
#include <vector>

#include "ops/ops.h"
#include "ops/sequences.h"

/// One step of inference through all layers of a Llama-family decoder in few parallel regions.
/// Composed of single operations, a step of one token spends a good part of its few milliseconds on
/// starting threads, allocating and writing intermediates; here the threads stay in one region and
/// meet at barriers between phases, and elementwise work is fused into the products.
namespace tigerbot::ops {

/// Weights of one layer, named as in the paper's figure. Undefined tensors are absent. All of one
/// type (bfloat16 or float32), contiguous, on the CPU.
struct DecoderLayer {
  at::Tensor input_norm;         ///< [hidden]
  at::Tensor query, key, value;  ///< [heads * d, hidden], [kv_heads * d, hidden] twice
  at::Tensor query_bias, key_bias, value_bias;
  at::Tensor query_norm, key_norm;  ///< [d]: RMSNorm of each head (Qwen3)
  at::Tensor output, output_bias;   ///< [hidden, heads * d], [hidden]
  at::Tensor post_attention_norm;   ///< [hidden]
  at::Tensor gate, up, down;        ///< [intermediate, hidden] twice, [hidden, intermediate]
  at::Tensor gate_bias, up_bias, down_bias;
  std::int64_t sliding_window = 0;  ///< 0: none
};

struct DecodeStepOptions {
  std::int64_t heads = 0;
  std::int64_t kv_heads = 0;
  std::int64_t head_dim = 0;
  double norm_eps = 1e-5;
  /// Multiplies the attention scores; 1 / sqrt(head_dim) where not given.
  std::optional<double> attention_scale;
  /// The rows whose final hidden states are wanted, in increasing order; empty: all. The last layer
  /// computes its queries and its multilayer perceptron for these alone.
  std::vector<std::int64_t> output_rows;
};

/// Whether decode_step takes these: on the CPU, no gradient wanted, every tensor there of one type
/// (bfloat16 or float32) and contiguous.
bool decode_step_applies(const at::Tensor& hidden, const std::vector<DecoderLayer>& layers,
                         const at::Tensor& final_norm);

/// The whole stack: for each layer x += output(attention(rope(norm(x)))); x +=
/// down(swiglu(norm(x))); then the final norm. Stores this step's keys and values in the cache as
/// store_key_values does. hidden [tokens, hidden] (the embeddings), final_norm [hidden], angles of
/// each token for the half-split rotation, caches one for each layer -> [tokens or output_rows,
/// hidden]. Rounds where the composed operations round; products and norms sum in the same order,
/// so products agree bit for bit and the whole to rounding of the attention. A row's result never
/// depends on which other rows are in the step.
at::Tensor decode_step(const at::Tensor& hidden, const std::vector<DecoderLayer>& layers,
                       const at::Tensor& final_norm, const RopeAngles& angles,
                       const Sequences& sequences, const BlockTables& tables,
                       const std::vector<PagedKeyValues>& caches, const DecodeStepOptions& options);

}  // namespace tigerbot::ops
