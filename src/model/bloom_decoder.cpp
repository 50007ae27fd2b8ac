#include "model/bloom_decoder.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>

#include <bit>
#include <cmath>

#include "model/step.h"
#include "ops/checks.h"

namespace tigerbot {
namespace {

std::string layer_name(std::size_t layer) { return "transformer.h." + std::to_string(layer); }

}  // namespace

at::Tensor alibi_slopes(std::int64_t heads) {
  // A power of two takes 2^(-8 i / heads); further heads fall between, from the next power's.
  const auto power = static_cast<std::int64_t>(std::bit_floor(static_cast<std::uint64_t>(heads)));
  at::Tensor slopes = at::empty({heads}, at::kFloat);
  auto* out = slopes.data_ptr<float>();
  for (std::int64_t i = 0; i < heads; ++i) {
    const double step = i < power ? 8.0 * static_cast<double>(i + 1)
                                  : 4.0 * static_cast<double>(2 * (i - power) + 1);
    out[i] = static_cast<float>(std::exp2(-step / static_cast<double>(power)));
  }
  return slopes;
}

BloomLayer::BloomLayer(const ModelConfig& config, std::size_t layer)
    : layer_(layer),
      num_heads_(config.num_attention_heads),
      head_dim_(config.head_dim),
      input_norm_(layer_name(layer) + ".input_layernorm", config.hidden_size, config.norm_eps),
      query_key_value_(layer_name(layer) + ".self_attention.query_key_value", config.hidden_size,
                       3 * config.hidden_size, true),
      dense_(layer_name(layer) + ".self_attention.dense", config.hidden_size, config.hidden_size,
             true),
      post_attention_norm_(layer_name(layer) + ".post_attention_layernorm", config.hidden_size,
                           config.norm_eps),
      dense_h_to_4h_(layer_name(layer) + ".mlp.dense_h_to_4h", config.hidden_size,
                     config.intermediate_size, true),
      dense_4h_to_h_(layer_name(layer) + ".mlp.dense_4h_to_h", config.intermediate_size,
                     config.hidden_size, true) {}

at::Tensor BloomLayer::attention(const at::Tensor& x, const at::Tensor& slopes,
                                 const Sequences& sequences, const StepCache* cache) const {
  // Each head's query, key and value lie side by side: [tokens, heads, 3, head_dim].
  const at::Tensor fused = query_key_value_(x).unflatten(1, {num_heads_, 3, head_dim_});
  const at::Tensor q = fused.select(2, 0).contiguous();
  const at::Tensor k = fused.select(2, 1).contiguous();
  const at::Tensor v = fused.select(2, 2).contiguous();
  ops::AttentionOptions options;
  options.alibi_slopes = slopes;
  return dense_(attend(q, k, v, sequences, cache, layer_, options).flatten(1));
}

at::Tensor BloomLayer::mlp(const at::Tensor& x) const {
  return dense_4h_to_h_(ops::gelu(dense_h_to_4h_(x), ops::Gelu::kTanh));
}

at::Tensor BloomLayer::operator()(const at::Tensor& x, const at::Tensor& slopes,
                                  const Sequences& sequences, const StepCache* cache,
                                  bool recompute_mlp) const {
  const std::pair<at::Tensor, at::Tensor> middle =
      post_attention_norm_.add(attention(input_norm_(x), slopes, sequences, cache), x);
  if (!recompute_mlp) return middle.second + mlp(middle.first);
  const auto block = [this](const std::vector<at::Tensor>& in) { return std::vector{mlp(in[0])}; };
  return middle.second + recompute(block, {middle.first}).front();
}

void BloomLayer::append_linears(std::vector<Linear*>& list) {
  for (Linear* linear : {&query_key_value_, &dense_, &dense_h_to_4h_, &dense_4h_to_h_}) {
    list.push_back(linear);
  }
}

void BloomLayer::append_parameters(std::vector<Parameter>& list) {
  input_norm_.append_parameters(list);
  query_key_value_.append_parameters(list);
  dense_.append_parameters(list);
  post_attention_norm_.append_parameters(list);
  dense_h_to_4h_.append_parameters(list);
  dense_4h_to_h_.append_parameters(list);
}

BloomDecoder::BloomDecoder(const ModelConfig& config)
    : Decoder(config),
      slopes_(alibi_slopes(config.num_attention_heads)),
      word_embeddings_("transformer.word_embeddings", config.vocab_size, config.hidden_size),
      embedding_norm_("transformer.word_embeddings_layernorm", config.hidden_size, config.norm_eps),
      norm_("transformer.ln_f", config.hidden_size, config.norm_eps) {
  layers_.reserve(static_cast<std::size_t>(config.num_hidden_layers));
  for (std::int64_t i = 0; i < config.num_hidden_layers; ++i) {
    layers_.emplace_back(config, static_cast<std::size_t>(i));
  }
  if (!config.tie_word_embeddings) {
    lm_head_.emplace("lm_head", config.hidden_size, config.vocab_size, false);
  }
}

std::vector<Parameter> BloomDecoder::parameters() {
  std::vector<Parameter> list;
  word_embeddings_.append_parameters(list);
  embedding_norm_.append_parameters(list);
  for (BloomLayer& layer : layers_) layer.append_parameters(list);
  norm_.append_parameters(list);
  if (lm_head_) lm_head_->append_parameters(list);
  return list;
}

std::vector<Linear*> BloomDecoder::linears() {
  std::vector<Linear*> list;
  for (BloomLayer& layer : layers_) layer.append_linears(list);
  return list;
}

std::string BloomDecoder::block_name(std::int64_t block) const {
  return layer_name(static_cast<std::size_t>(block));
}

at::Tensor BloomDecoder::embed(const at::Tensor& ids) const {
  return embedding_norm_(word_embeddings_(ids));
}

at::Tensor BloomDecoder::run_block(std::int64_t block, const at::Tensor& x,
                                   const Sequences& sequences) const {
  return layers_[static_cast<std::size_t>(block)](x, slopes_, sequences, nullptr, false);
}

at::Tensor BloomDecoder::forward(const at::Tensor& ids, const Sequences& sequences,
                                 const StepCache* cache) {
  pack_for(cache);
  at::Tensor x = embed(ids);  // [tokens, hidden_size]
  const at::Tensor slopes = slopes_.to(x.device());
  const bool trains = at::GradMode::is_enabled() && !cache;
  const bool selective = trains && checkpointing_ == ActivationCheckpointing::kSelective;
  for (const BloomLayer& layer : layers_) {
    if (trains && checkpointing_ == ActivationCheckpointing::kFull) {
      const auto block = [&layer, slopes, sequences](const std::vector<at::Tensor>& in) {
        return std::vector{layer(in[0], slopes, sequences, nullptr)};
      };
      x = recompute(block, {x}).front();
    } else {
      x = layer(x, slopes, sequences, cache, selective);
    }
  }
  return norm_(wanted_rows(x, cache));
}

void BloomDecoder::pack_for(const StepCache* cache) {
  if (at::GradMode::is_enabled()) {
    if (packed_output_) {  // training may be about to change the weights
      for (Linear* linear : linears()) linear->unpack();
      packed_output_.reset();
    }
    return;
  }
  if (!cache || packed_output_ || !ops::takes_kernels(output_weight())) return;
  for (Linear* linear : linears()) linear->pack();
  packed_output_.emplace(quantized_output_.defined() ? ops::PackedWeight()
                                                     : ops::PackedWeight(output_weight()));
}

const at::Tensor& BloomDecoder::output_weight() const {
  return lm_head_ ? lm_head_->weight() : word_embeddings_.weight();
}

std::string BloomDecoder::output_name() const {
  return lm_head_ ? "lm_head.weight" : "transformer.word_embeddings.weight";
}

at::Tensor BloomDecoder::logits(const at::Tensor& hidden) const {
  if (at::Tensor logits = quantized_logits(hidden); logits.defined()) return logits;
  if (packed_output_ && !at::GradMode::is_enabled()) return ops::linear(hidden, *packed_output_);
  return ops::linear(hidden, output_weight());
}

}  // namespace tigerbot
