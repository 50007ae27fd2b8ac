#pragma once

#include <ATen/core/Tensor.h>

#include <memory>
#include <optional>
#include <vector>

#include "model/config.h"
#include "model/linear.h"
#include "model/parameters.h"
#include "model/recompute.h"
#include "ops/ops.h"

namespace tigerbot {

/// The paged cache as one step sees it: each layer's blocks, and where each sequence's lie.
struct StepCache {
  std::vector<PagedKeyValues> layers;
  BlockTables tables;
  /// The rows whose final hidden states are wanted, in increasing order; not given: all. A prompt
  /// needs its last token's alone.
  std::optional<std::vector<std::int64_t>> output_rows = std::nullopt;
};

/// A decoder-only transformer: the Llama family (RMSNorm, RoPE, SwiGLU, grouped-query attention)
/// and the BLOOM family (LayerNorm, ALiBi, GeLU). One definition trains, infers, quantizes and
/// splits over ranks.
class Decoder {
 public:
  virtual ~Decoder() = default;

  const ModelConfig& config() const { return config_; }

  /// Every parameter, in the order of the checkpoint; a tied output layer is not listed twice.
  virtual std::vector<Parameter> parameters() = 0;

  /// Every Linear of the layers (not the output layer), in the order of the checkpoint: what
  /// low-rank adapters attach to.
  virtual std::vector<Linear*> linears() = 0;

  /// What training runs again in place of keeping it; kNone at first.
  void set_activation_checkpointing(ActivationCheckpointing kind) { checkpointing_ = kind; }

  /// Hidden states after the final norm. ids int32 or int64 [tokens] -> [tokens, hidden_size].
  /// Without a cache: whole sequences, differentiable. With one: this step's tokens are stored in
  /// it and see all that it holds of their sequences, and the result has the cache's output_rows
  /// alone. A decoder may run such steps, which have no gradients, with its own packed copy of the
  /// weights, made at the first one.
  virtual at::Tensor forward(const at::Tensor& ids, const Sequences& sequences,
                             const StepCache* cache = nullptr) = 0;

  /// The output layer's weight [vocab_size, hidden_size], for cross_entropy.
  virtual const at::Tensor& output_weight() const = 0;

  /// hidden [n, hidden_size] -> logits [n, vocab_size].
  virtual at::Tensor logits(const at::Tensor& hidden) const = 0;

 protected:
  explicit Decoder(ModelConfig config) : config_(std::move(config)) {}
  ModelConfig config_;
  ActivationCheckpointing checkpointing_ = ActivationCheckpointing::kNone;
};

/// A model of this shape with its parameters from `source`, in `dtype` on `device`.
std::unique_ptr<Decoder> make_decoder(const ModelConfig& config, const TensorSource& source,
                                      at::ScalarType dtype, at::Device device = at::kCPU);

}  // namespace tigerbot
