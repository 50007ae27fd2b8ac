#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <optional>
#include <utility>

#include "ops/sequences.h"

/// Everything that TigerBot fuses. Free functions on at::Tensor, differentiable where they train.
/// Activations are [tokens, features] with ragged `Sequences`; bfloat16 or float32 storage, float32
/// accumulation (float64 is accepted by the plain paths, for gradient checks). On a CPU these are
/// our own vector kernels, chosen by instruction set at run time; on any other device they are
/// composed of ATen's operations.
namespace tigerbot::ops {

// --- Normalization -------------------------------------------------------------------------------

/// y = x / sqrt(mean(x^2) + eps) * weight over the last dimension (Zhang & Sennrich 2019).
/// x [..., features], weight [features] -> like x.
at::Tensor rms_norm(const at::Tensor& x, const at::Tensor& weight, double eps);

/// (rms_norm(x + residual), x + residual): the sum is the next residual stream.
std::pair<at::Tensor, at::Tensor> rms_norm_residual(const at::Tensor& x, const at::Tensor& residual,
                                                    const at::Tensor& weight, double eps);

/// y = (x - mean) / sqrt(var + eps) * weight + bias over the last dimension (Ba et al. 2016).
/// x [..., features], weight and bias [features] -> like x.
at::Tensor layer_norm(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias,
                      double eps);

/// (layer_norm(x + residual), x + residual).
std::pair<at::Tensor, at::Tensor> layer_norm_residual(const at::Tensor& x,
                                                      const at::Tensor& residual,
                                                      const at::Tensor& weight,
                                                      const at::Tensor& bias, double eps);

// --- Rotary position embedding (Su et al. 2021) --------------------------------------------------

enum class RopeLayout {
  kHalfSplit,     ///< rotates (x[i], x[i + d/2]): Hugging Face's Llama
  kAdjacentPair,  ///< rotates (x[2i], x[2i + 1]): the paper, GGUF's Llama
};

/// The angles of each token: both float32 [tokens, rotary_dim / 2].
struct RopeAngles {
  at::Tensor cos;
  at::Tensor sin;
};

/// Rotates the first 2 * angles.cos.size(1) features of each head.
/// x [tokens, heads, head_dim] -> like x.
at::Tensor rope(const at::Tensor& x, const RopeAngles& angles,
                RopeLayout layout = RopeLayout::kHalfSplit);

// --- Attention -----------------------------------------------------------------------------------

struct AttentionOptions {
  bool causal = true;
  /// Multiplies the scores; 1 / sqrt(head_dim) where not given.
  std::optional<double> scale;
  /// A token sees at most this many positions, itself included; 0 means no limit (Mistral).
  std::int64_t sliding_window = 0;
  /// float32 [heads], or undefined: adds slope * (key position - query position) to the scores
  /// (ALiBi, Press et al. 2022).
  at::Tensor alibi_slopes;
};

/// softmax(q k^T scale + bias) v within each sequence; query head h reads key/value head
/// h / (heads / kv_heads) (grouped-query attention, Ainslie et al. 2023).
/// q [tokens, heads, d], k and v [tokens, kv_heads, d] -> [tokens, heads, d].
/// Memory grows linearly with tokens (online softmax, Dao et al. 2022).
at::Tensor attention(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                     const Sequences& sequences, const AttentionOptions& options = {});

/// Writes this step's keys and values [tokens, kv_heads, d] to their places in the cache, quantized
/// where the cache is: scale = max |x| / 127 of each token and head, integers round(x / scale).
/// A head without values above 1e-30 becomes zero, one that is not finite stays so (its scale is
/// NaN).
void store_key_values(const at::Tensor& k, const at::Tensor& v, const Sequences& sequences,
                      const BlockTables& tables, const PagedKeyValues& cache);

/// Causal attention of this step's queries over all that the cache holds of their sequences, this
/// step's own tokens included (stored before). The result for a sequence never depends on what
/// else is in the step. q [tokens, heads, d] -> [tokens, heads, d].
at::Tensor paged_attention(const at::Tensor& q, const PagedKeyValues& cache,
                           const Sequences& sequences, const BlockTables& tables,
                           const AttentionOptions& options = {});

// --- Multilayer perceptron -----------------------------------------------------------------------

/// silu(gate) * up (Shazeer 2020). Both [tokens, features] -> like gate.
at::Tensor swiglu(const at::Tensor& gate, const at::Tensor& up);

enum class Gelu { kExact, kTanh };

/// x * Phi(x), or its tanh approximation (Hendrycks & Gimpel 2016).
at::Tensor gelu(const at::Tensor& x, Gelu kind);

// --- Embedding and loss --------------------------------------------------------------------------

/// Rows of `weight` [pieces, features]. ids int64 or int32 [tokens] -> [tokens, features].
/// The gradient is dense, and the sum order is fixed: same ids, same bits.
at::Tensor embedding(const at::Tensor& ids, const at::Tensor& weight);

struct CrossEntropy {
  /// sum over tokens of token_weights * negative log-likelihood; a float32 scalar, differentiable
  /// in hidden and weight.
  at::Tensor loss;
  /// Negative log-likelihood of each token, float32 [tokens]; 0 where the label is ignored.
  at::Tensor token_losses;
  /// Whether the most likely piece is the label, bool [tokens]; false where ignored.
  at::Tensor correct;
};

/// Cross entropy of softmax(hidden weight^T) fused with the output layer, computed in chunks so
/// that the [tokens, pieces] logits never exist whole. With gradients on, they are made in the same
/// pass. hidden [tokens, features], weight [pieces, features], labels int64 [tokens] (-100 is
/// ignored), token_weights float32 [tokens] or undefined (1 each).
CrossEntropy cross_entropy(const at::Tensor& hidden, const at::Tensor& weight,
                           const at::Tensor& labels, const at::Tensor& token_weights = {});

// --- Dense products ------------------------------------------------------------------------------

/// x weight^T + bias. x [tokens, in], weight [out, in], bias [out] or undefined -> [tokens, out].
/// A few rows go through our own kernel that reads the weights once; many through ATen's.
at::Tensor linear(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias = {});

}  // namespace tigerbot::ops
