#pragma once

#include <optional>
#include <string>
#include <vector>

#include "model/decoder.h"
#include "model/embedding.h"
#include "model/linear.h"
#include "model/norm.h"

namespace tigerbot {

/// float32 [heads]: how strongly each head favours near keys (ALiBi, Press et al. 2022).
at::Tensor alibi_slopes(std::int64_t heads);

/// One block of BLOOM: attention with linear biases, then a GeLU perceptron.
class BloomLayer {
 public:
  BloomLayer(const ModelConfig& config, std::size_t layer);

  /// x [tokens, hidden_size] -> like x.
  at::Tensor operator()(const at::Tensor& x, const at::Tensor& slopes, const Sequences& sequences,
                        const StepCache* cache, bool recompute_mlp = false) const;

  void append_parameters(std::vector<Parameter>& list);
  void append_linears(std::vector<Linear*>& list);

 private:
  at::Tensor attention(const at::Tensor& x, const at::Tensor& slopes, const Sequences& sequences,
                       const StepCache* cache) const;
  at::Tensor mlp(const at::Tensor& x) const;

  std::size_t layer_;
  std::int64_t num_heads_, head_dim_;
  LayerNorm input_norm_;
  Linear query_key_value_, dense_;
  LayerNorm post_attention_norm_;
  Linear dense_h_to_4h_, dense_4h_to_h_;
};

/// The BLOOM family (Scao et al. 2022): LayerNorm, ALiBi, GeLU and a norm on the embedding.
class BloomDecoder : public Decoder {
 public:
  explicit BloomDecoder(const ModelConfig& config);

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
  at::Tensor slopes_;
  Embedding word_embeddings_;
  LayerNorm embedding_norm_;
  std::vector<BloomLayer> layers_;
  LayerNorm norm_;
  std::optional<Linear> lm_head_;
  std::optional<ops::PackedWeight> packed_output_;  ///< for steps of inference, as all Linears then

  /// Packs the weights where a step may run on packed ones, if they are not packed yet.
  void pack_for(const StepCache* cache);
};

}  // namespace tigerbot
