#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "model/config.h"
#include "model/linear.h"
#include "model/parameters.h"
#include "model/recompute.h"
#include "model/rope_table.h"
#include "ops/ops.h"
#include "ops/quantized_linear.h"

namespace tigerbot {

/// The paged cache as one step sees it: each layer's blocks, and where each sequence's lie.
struct StepCache {
  std::vector<PagedKeyValues> layers;
  BlockTables tables;
  /// The rows whose final hidden states are wanted, in increasing order; not given: all. A prompt
  /// needs its last token's alone.
  std::optional<std::vector<std::int64_t>> output_rows = std::nullopt;
  /// How each sequence's rotary angles are scaled; empty: as the config says, by the tokens that
  /// the cache holds.
  std::vector<RotaryScale> rotary_scales{};
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

  /// "model.layers.3": what the names of a block's parameters begin with.
  virtual std::string block_name(std::int64_t block) const = 0;

  /// The residual stream before the first block: ids [tokens] -> [tokens, hidden_size].
  virtual at::Tensor embed(const at::Tensor& ids) const = 0;

  /// One block over whole sequences: the residual stream [tokens, hidden_size] before it -> after
  /// it. embed(), every block and the final norm make up forward(). For steps that hold one block
  /// at a time: the parameters that are not matrices must be there for all.
  virtual at::Tensor run_block(std::int64_t block, const at::Tensor& x,
                               const Sequences& sequences) const = 0;

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

  /// "lm_head.weight", or the embedding's name where that is the output layer too.
  virtual std::string output_name() const = 0;
  /// Makes logits without gradients with this weight, in place of output_weight().
  void set_quantized_output(ops::QuantizedWeight weight) { quantized_output_ = std::move(weight); }
  const ops::QuantizedWeight& quantized_output() const { return quantized_output_; }

 protected:
  explicit Decoder(ModelConfig config) : config_(std::move(config)) {}
  /// The logits of the quantized output layer; undefined where there is none, or gradients are
  /// wanted.
  at::Tensor quantized_logits(const at::Tensor& hidden) const {
    if (!quantized_output_.defined() || at::GradMode::is_enabled()) return {};
    return ops::linear(hidden, quantized_output_);
  }

  ModelConfig config_;
  ops::QuantizedWeight quantized_output_;
  ActivationCheckpointing checkpointing_ = ActivationCheckpointing::kNone;
};

/// A model of this shape whose parameters are all undefined.
std::unique_ptr<Decoder> make_empty_decoder(const ModelConfig& config);

/// A model of this shape with its parameters from `source`, in `dtype` on `device`. The layers that
/// `quantized` has, and the output layer, run as they are quantized; a device other than the CPU
/// takes dense ones from `source`.
std::unique_ptr<Decoder> make_decoder(const ModelConfig& config, const TensorSource& source,
                                      at::ScalarType dtype, at::Device device = at::kCPU,
                                      const QuantizedSource& quantized = nullptr);

}  // namespace tigerbot
