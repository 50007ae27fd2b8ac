#include "model/bert_encoder.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/stack.h>

#include <utility>

#include "base/error.h"

namespace tigerbot {
namespace {

std::string layer_name(std::size_t layer) { return "encoder.layer." + std::to_string(layer); }

}  // namespace

BertLayer::BertLayer(const ModelConfig& config, std::size_t layer)
    : head_dim_(config.head_dim),
      gelu_(config.hidden_act == "gelu" ? ops::Gelu::kExact : ops::Gelu::kTanh),
      query_(layer_name(layer) + ".attention.self.query", config.hidden_size, config.hidden_size,
             true),
      key_(layer_name(layer) + ".attention.self.key", config.hidden_size, config.hidden_size, true),
      value_(layer_name(layer) + ".attention.self.value", config.hidden_size, config.hidden_size,
             true),
      attention_output_(layer_name(layer) + ".attention.output.dense", config.hidden_size,
                        config.hidden_size, true),
      attention_norm_(layer_name(layer) + ".attention.output.LayerNorm", config.hidden_size,
                      config.norm_eps),
      intermediate_(layer_name(layer) + ".intermediate.dense", config.hidden_size,
                    config.intermediate_size, true),
      output_(layer_name(layer) + ".output.dense", config.intermediate_size, config.hidden_size,
              true),
      output_norm_(layer_name(layer) + ".output.LayerNorm", config.hidden_size, config.norm_eps) {}

at::Tensor BertLayer::attention(const at::Tensor& x, const Sequences& sequences) const {
  const at::Tensor q = query_(x).unflatten(1, {-1, head_dim_});  // [tokens, heads, head_dim]
  const at::Tensor k = key_(x).unflatten(1, {-1, head_dim_});
  const at::Tensor v = value_(x).unflatten(1, {-1, head_dim_});
  ops::AttentionOptions options;
  options.causal = false;
  return attention_output_(ops::attention(q, k, v, sequences, options).flatten(1));
}

at::Tensor BertLayer::mlp(const at::Tensor& x) const {
  return output_(ops::gelu(intermediate_(x), gelu_));
}

at::Tensor BertLayer::operator()(const at::Tensor& x, const Sequences& sequences) const {
  const at::Tensor attended = attention_norm_.add(attention(x, sequences), x).first;
  return output_norm_.add(mlp(attended), attended).first;
}

void BertLayer::append_parameters(std::vector<Parameter>& list) {
  for (Linear* linear : {&query_, &key_, &value_, &attention_output_}) {
    linear->append_parameters(list);
  }
  attention_norm_.append_parameters(list);
  intermediate_.append_parameters(list);
  output_.append_parameters(list);
  output_norm_.append_parameters(list);
}

void BertLayer::append_linears(std::vector<Linear*>& list) {
  for (Linear* linear : {&query_, &key_, &value_, &attention_output_, &intermediate_, &output_}) {
    list.push_back(linear);
  }
}

BertEncoder::BertEncoder(const ModelConfig& config)
    : config_(config),
      word_embeddings_("embeddings.word_embeddings", config.vocab_size, config.hidden_size),
      position_embeddings_("embeddings.position_embeddings", config.max_position_embeddings,
                           config.hidden_size),
      token_type_embeddings_("embeddings.token_type_embeddings", config.type_vocab_size,
                             config.hidden_size),
      embedding_norm_("embeddings.LayerNorm", config.hidden_size, config.norm_eps) {
  layers_.reserve(static_cast<std::size_t>(config.num_hidden_layers));
  for (std::int64_t i = 0; i < config.num_hidden_layers; ++i) {
    layers_.emplace_back(config, static_cast<std::size_t>(i));
  }
}

std::vector<Parameter> BertEncoder::parameters() {
  std::vector<Parameter> list;
  word_embeddings_.append_parameters(list);
  position_embeddings_.append_parameters(list);
  token_type_embeddings_.append_parameters(list);
  embedding_norm_.append_parameters(list);
  for (BertLayer& layer : layers_) layer.append_parameters(list);
  return list;
}

std::vector<Linear*> BertEncoder::linears() {
  std::vector<Linear*> list;
  for (BertLayer& layer : layers_) layer.append_linears(list);
  return list;
}

std::string BertEncoder::block_name(std::int64_t block) const {
  return layer_name(static_cast<std::size_t>(block));
}

at::Tensor BertEncoder::embed(const at::Tensor& ids, const Sequences& sequences) const {
  const at::Tensor words = word_embeddings_(ids) + token_type_embeddings_.weight()[0];
  return embedding_norm_.add(words, position_embeddings_(sequences.positions)).first;
}

at::Tensor BertEncoder::run_block(std::int64_t block, const at::Tensor& x,
                                  const Sequences& sequences) const {
  return layers_[static_cast<std::size_t>(block)](x, sequences);
}

at::Tensor BertEncoder::forward(const at::Tensor& ids, const Sequences& sequences) const {
  for (std::int64_t i = 0; i < sequences.count(); ++i) {
    if (sequences.length(i) > config_.max_position_embeddings) {
      fail("a text of {} tokens is longer than the {} that this encoder takes; cut it into parts",
           sequences.length(i), config_.max_position_embeddings);
    }
  }
  at::Tensor x = embed(ids, sequences);
  for (const BertLayer& layer : layers_) x = layer(x, sequences);
  return x;
}

std::unique_ptr<BertEncoder> make_bert_encoder(const ModelConfig& config,
                                               const TensorSource& source, at::ScalarType dtype,
                                               at::Device device,
                                               const QuantizedSource& quantized) {
  if (config.family != ModelConfig::Family::kBert) {
    fail("a {} model is no BERT encoder; sentence vectors need one, such as all-MiniLM-L6-v2",
         config.model_type);
  }
  auto encoder = std::make_unique<BertEncoder>(config);
  if (quantized && device.is_cpu()) {
    for (Linear* linear : encoder->linears()) {
      ops::QuantizedWeight weight =
          quantized(linear->name() + ".weight", {linear->out_features(), linear->in_features()});
      if (weight.defined()) linear->set_quantized(std::move(weight));
    }
  }
  load_parameters(encoder->parameters(), source, dtype, device);
  return encoder;
}

at::Tensor sentence_embeddings(const BertEncoder& encoder, const at::Tensor& ids,
                               const Sequences& sequences) {
  const at::Tensor hidden = encoder.forward(ids, sequences);
  std::vector<at::Tensor> means;
  for (std::int64_t i = 0; i < sequences.count(); ++i) {
    if (sequences.length(i) == 0) fail("text {} has no tokens; give each some text", i + 1);
    const at::Tensor rows =
        hidden.slice(0, sequences.cu_seqlens[i], sequences.cu_seqlens[i + 1]).to(at::kFloat);
    means.push_back(rows.mean(0));
  }
  const at::Tensor pooled = at::stack(means);
  return pooled / pooled.norm(2, {1}, true).clamp_min(1e-12);
}

}  // namespace tigerbot
