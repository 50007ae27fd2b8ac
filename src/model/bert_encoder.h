#pragma once

#include <memory>
#include <string>
#include <vector>

#include "model/config.h"
#include "model/embedding.h"
#include "model/linear.h"
#include "model/norm.h"
#include "model/parameters.h"
#include "ops/ops.h"

namespace tigerbot {

/// One block of BERT: attention over the whole sequence, then a GeLU perceptron, each followed by a
/// norm of the sum.
class BertLayer {
 public:
  BertLayer(const ModelConfig& config, std::size_t layer);

  /// x [tokens, hidden_size] -> like x.
  at::Tensor operator()(const at::Tensor& x, const Sequences& sequences) const;

  void append_parameters(std::vector<Parameter>& list);
  void append_linears(std::vector<Linear*>& list);

 private:
  at::Tensor attention(const at::Tensor& x, const Sequences& sequences) const;
  at::Tensor mlp(const at::Tensor& x) const;

  std::int64_t head_dim_;
  ops::Gelu gelu_;
  Linear query_, key_, value_, attention_output_;
  LayerNorm attention_norm_;
  Linear intermediate_, output_;
  LayerNorm output_norm_;
};

/// BERT (Devlin et al. 2019): a bidirectional encoder with learned positions. The ground for
/// sentence vectors and classifiers.
class BertEncoder {
 public:
  explicit BertEncoder(const ModelConfig& config);

  const ModelConfig& config() const { return config_; }

  /// Every parameter, in the order of the checkpoint.
  std::vector<Parameter> parameters();

  /// Every Linear of the layers, in the same order.
  std::vector<Linear*> linears();

  /// "encoder.layer.3": what the names of a block's parameters begin with.
  std::string block_name(std::int64_t block) const;

  /// The stream before the first block: ids [tokens] -> [tokens, hidden_size].
  at::Tensor embed(const at::Tensor& ids, const Sequences& sequences) const;

  /// One block: the stream [tokens, hidden_size] before it -> after it. embed() and every block
  /// make up forward().
  at::Tensor run_block(std::int64_t block, const at::Tensor& x, const Sequences& sequences) const;

  /// Hidden states of the last layer, all tokens of type 0. ids [tokens] -> [tokens, hidden_size].
  /// A sequence longer than max_position_embeddings is an Error.
  at::Tensor forward(const at::Tensor& ids, const Sequences& sequences) const;

 private:
  ModelConfig config_;
  Embedding word_embeddings_, position_embeddings_, token_type_embeddings_;
  LayerNorm embedding_norm_;
  std::vector<BertLayer> layers_;
};

/// A model of this shape with its parameters from `source`, in `dtype` on `device`. The layers that
/// `quantized` has run as they are quantized; a device other than the CPU takes dense ones from
/// `source`.
std::unique_ptr<BertEncoder> make_bert_encoder(const ModelConfig& config,
                                               const TensorSource& source, at::ScalarType dtype,
                                               at::Device device = at::kCPU,
                                               const QuantizedSource& quantized = nullptr);

/// The mean of each sequence's hidden states at length 1 (Reimers & Gurevych 2019).
/// float32 [sequences, hidden_size]; an empty sequence is an Error.
at::Tensor sentence_embeddings(const BertEncoder& encoder, const at::Tensor& ids,
                               const Sequences& sequences);

}  // namespace tigerbot
