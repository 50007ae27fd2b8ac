#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <optional>
#include <vector>

#include "ops/ops.h"
#include "ops/sequences.h"
#include "ops/step_product.h"

/// One step of inference through all layers of a Llama-family decoder in one parallel region.
/// Composed of single operations, a step of one token spends a good part of its few milliseconds on
/// starting threads, allocating and writing intermediates; here the threads meet at barriers
/// between phases, and elementwise work is fused into the products.
namespace tigerbot::ops {

/// Weights of one layer; those that a model lacks are undefined. On the CPU, all of one type
/// (bfloat16 or float32), or all quantized, with norms in bfloat16.
struct DecoderLayer {
  at::Tensor input_norm;          ///< [hidden]
  LayerWeight query, key, value;  ///< [heads * d, hidden], [kv_heads * d, hidden] twice
  at::Tensor query_bias, key_bias, value_bias;
  at::Tensor query_norm, key_norm;  ///< [d]: RMSNorm of each head (Qwen3)
  LayerWeight output;               ///< [hidden, heads * d]
  at::Tensor output_bias;           ///< [hidden]
  at::Tensor post_attention_norm;   ///< [hidden]
  LayerWeight gate, up, down;       ///< [intermediate, hidden] twice, [hidden, intermediate]
  at::Tensor gate_bias, up_bias, down_bias;
  std::int64_t sliding_window = 0;  ///< 0: none
};

struct DecoderShape {
  std::int64_t heads = 0;
  std::int64_t kv_heads = 0;
  std::int64_t head_dim = 0;
  double norm_eps = 1e-5;
  /// Multiplies the attention scores; 1 / sqrt(head_dim) where not given.
  std::optional<double> attention_scale;
};

/// The layers of a decoder with packed weights, ready to run. Copies dense weights (the plain ones
/// are not needed for it), and shares quantized ones.
class DecoderStack {
 public:
  /// Whether it takes these: on the CPU, of one type (bfloat16 or float32), or quantized.
  static bool applies(const std::vector<DecoderLayer>& layers);

  DecoderStack(const std::vector<DecoderLayer>& layers, const at::Tensor& final_norm,
               const DecoderShape& shape);

  /// For each layer x += output(attention(rope(norm(x)))); x += down(swiglu(norm(x))); then the
  /// final norm. Stores this step's keys and values in the cache as store_key_values does,
  /// quantized where the cache is.
  ///
  /// embeddings [tokens, hidden]; angles of each token, for the half-split rotation; caches: one
  /// for each layer; output_rows: the rows whose final states are wanted, in increasing order
  /// (not given: all); the last layer computes its queries and its perceptron for these alone.
  /// -> [output_rows or tokens, hidden].
  ///
  /// Rounds to the storage type where the composed operations round. The bits of a row depend on
  /// its own sequence and the instruction set alone: not on the other rows of the step, on how the
  /// prompt was cut into steps, or on the threads.
  at::Tensor step(const at::Tensor& embeddings, const RopeAngles& angles,
                  const Sequences& sequences, const BlockTables& tables,
                  const std::vector<PagedKeyValues>& caches,
                  const std::optional<std::vector<std::int64_t>>& output_rows = {}) const;

 private:
  /// A layer with weights packed, and norms and biases in float32.
  struct Layer {
    at::Tensor input_norm, post_attention_norm, query_norm, key_norm;
    StepProduct query_key_value, output, gate_up, down;
    at::Tensor query_key_value_bias, output_bias, gate_bias, up_bias, down_bias;
    std::int64_t sliding_window = 0;
  };
  class Run;

  std::vector<Layer> layers_;
  at::Tensor final_norm_;
  DecoderShape shape_;
  std::int64_t hidden_ = 0;
  std::int64_t intermediate_ = 0;
  at::ScalarType type_ = at::kBFloat16;
};

}  // namespace tigerbot::ops
