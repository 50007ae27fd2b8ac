#pragma once

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "model/decoder.h"
#include "model/embedding.h"
#include "model/linear.h"
#include "model/norm.h"
#include "model/rope_table.h"
#include "ops/decode_step.h"
#include "ops/fused_linear.h"
#include "ops/linear.h"

namespace tigerbot {

/// Grouped-query attention with rotary positions; biases (Qwen2), head norms (Qwen3) and a sliding
/// window (Mistral) where the config asks for them.
class LlamaAttention {
 public:
  LlamaAttention(const ModelConfig& config, const std::string& name, std::size_t layer);

  /// x [tokens, hidden_size] -> like x.
  at::Tensor operator()(const ops::NormedInput& x, const ops::RopeAngles& angles,
                        const Sequences& sequences, const StepCache* cache) const;

  void append_parameters(std::vector<Parameter>& list);
  void append_linears(std::vector<Linear*>& list);

 private:
  friend class LlamaDecoder;
  std::size_t layer_;
  std::int64_t head_dim_;
  ops::AttentionOptions options_;
  Linear q_proj_, k_proj_, v_proj_, o_proj_;
  std::optional<RmsNorm> q_norm_, k_norm_;
};

/// SwiGLU (Shazeer 2020).
class LlamaMlp {
 public:
  LlamaMlp(const ModelConfig& config, const std::string& name);

  /// x [tokens, hidden_size] -> like x.
  at::Tensor operator()(const ops::NormedInput& x) const;

  void append_parameters(std::vector<Parameter>& list);
  void append_linears(std::vector<Linear*>& list);

 private:
  friend class LlamaDecoder;
  Linear gate_proj_, up_proj_, down_proj_;
};

struct LlamaLayer {
  LlamaLayer(const ModelConfig& config, std::size_t layer);

  void append_parameters(std::vector<Parameter>& list);

  RmsNorm input_norm;
  LlamaAttention attention;
  RmsNorm post_attention_norm;
  LlamaMlp mlp;
};

/// The Llama family (Touvron et al. 2023): Llama 1, 2 and 3, Mistral, Qwen2, Qwen3, SmolLM2.
class LlamaDecoder : public Decoder {
 public:
  explicit LlamaDecoder(const ModelConfig& config);

  std::vector<Parameter> parameters() override;
  std::vector<Linear*> linears() override;
  std::string block_name(std::int64_t block) const override;
  at::Tensor embed(const at::Tensor& ids) const override;
  at::Tensor run_block(std::int64_t block, const at::Tensor& x,
                       const Sequences& sequences) const override;
  at::Tensor forward(const at::Tensor& ids, const Sequences& sequences,
                     const StepCache* cache) override;
  const at::Tensor& output_weight() const override;
  at::Tensor logits(const at::Tensor& hidden) const override;
  std::string output_name() const override;

 private:
  RopeTable rope_;
  Embedding embed_tokens_;
  std::vector<LlamaLayer> layers_;
  RmsNorm norm_;
  std::optional<Linear> lm_head_;  ///< none where the output layer is the embedding's

  /// Copies of the weights for steps of inference (quantized ones are shared). No layers where only
  /// some are quantized, or they are and the rest is float32: one operation then follows the other.
  struct Packed {
    std::optional<ops::DecoderStack> layers;
    ops::PackedWeight output;  ///< undefined where it is quantized
  };
  std::optional<Packed> packed_;

  /// (norm of the stream, stream) before layer i -> the same after it, its norm being the next
  /// layer's or the final one.
  std::pair<at::Tensor, at::Tensor> run_layer(std::size_t i, const at::Tensor& normed,
                                              const at::Tensor& x, const ops::RopeAngles& angles,
                                              const Sequences& sequences, const StepCache* cache,
                                              bool recompute_mlp) const;

  /// Packs the weights where a step may run on packed ones, if they are not packed yet.
  void pack_for(const StepCache* cache);
  ops::PackedWeight pack_output() const;
};

}  // namespace tigerbot
