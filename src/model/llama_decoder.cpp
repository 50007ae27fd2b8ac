#include "model/llama_decoder.h"

#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <tuple>

#include "model/step.h"
#include "ops/fused_linear.h"

namespace tigerbot {
namespace {

std::string layer_name(std::size_t layer) { return "model.layers." + std::to_string(layer); }

}  // namespace

LlamaAttention::LlamaAttention(const ModelConfig& config, const std::string& name,
                               std::size_t layer)
    : layer_(layer),
      head_dim_(config.head_dim),
      q_proj_(name + ".q_proj", config.hidden_size, config.num_attention_heads * config.head_dim,
              config.attention_bias),
      k_proj_(name + ".k_proj", config.hidden_size, config.num_key_value_heads * config.head_dim,
              config.attention_bias),
      v_proj_(name + ".v_proj", config.hidden_size, config.num_key_value_heads * config.head_dim,
              config.attention_bias),
      o_proj_(name + ".o_proj", config.num_attention_heads * config.head_dim, config.hidden_size,
              config.attention_output_bias) {
  options_.sliding_window = config.window_of_layer(static_cast<std::int64_t>(layer));
  if (config.query_key_norm) {
    q_norm_.emplace(name + ".q_norm", config.head_dim, config.norm_eps);
    k_norm_.emplace(name + ".k_norm", config.head_dim, config.norm_eps);
  }
}

at::Tensor LlamaAttention::operator()(const ops::NormedInput& x, const ops::RopeAngles& angles,
                                      const Sequences& sequences, const StepCache* cache) const {
  at::Tensor q, k, v;  // [tokens, heads or kv_heads, head_dim]
  if (at::GradMode::is_enabled() && !cache && q_proj_.is_plain() && k_proj_.is_plain() &&
      v_proj_.is_plain()) {
    const std::vector<at::Tensor> parts =
        ops::joined_linears(x, {q_proj_.weight(), k_proj_.weight(), v_proj_.weight()});
    q = parts[0];
    k = parts[1];
    v = parts[2].contiguous();  // kept for the backward pass without the other two
  } else {
    q = q_proj_(x.x);
    k = k_proj_(x.x);
    v = v_proj_(x.x);
  }
  q = q.unflatten(1, {-1, head_dim_});
  k = k.unflatten(1, {-1, head_dim_});
  v = v.unflatten(1, {-1, head_dim_});
  if (q_norm_) {
    q = (*q_norm_)(q);
    k = (*k_norm_)(k);
  }
  q = ops::rope(q, angles);
  k = ops::rope(k, angles);
  return o_proj_(attend(q, k, v, sequences, cache, layer_, options_).flatten(1));
}

void LlamaAttention::append_parameters(std::vector<Parameter>& list) {
  for (Linear* linear : {&q_proj_, &k_proj_, &v_proj_, &o_proj_}) linear->append_parameters(list);
  if (q_norm_) {
    q_norm_->append_parameters(list);
    k_norm_->append_parameters(list);
  }
}

void LlamaAttention::append_linears(std::vector<Linear*>& list) {
  for (Linear* linear : {&q_proj_, &k_proj_, &v_proj_, &o_proj_}) list.push_back(linear);
}

LlamaMlp::LlamaMlp(const ModelConfig& config, const std::string& name)
    : gate_proj_(name + ".gate_proj", config.hidden_size, config.intermediate_size,
                 config.mlp_bias),
      up_proj_(name + ".up_proj", config.hidden_size, config.intermediate_size, config.mlp_bias),
      down_proj_(name + ".down_proj", config.intermediate_size, config.hidden_size,
                 config.mlp_bias) {}

at::Tensor LlamaMlp::operator()(const ops::NormedInput& x) const {
  if (at::GradMode::is_enabled() && gate_proj_.is_plain() && up_proj_.is_plain() &&
      down_proj_.is_plain()) {
    const std::vector<at::Tensor> wide =
        ops::parallel_linears(x, {gate_proj_.weight(), up_proj_.weight()});
    return ops::swiglu_linear(wide[0], wide[1], down_proj_.weight());
  }
  return down_proj_(ops::swiglu(gate_proj_(x.x), up_proj_(x.x)));
}

void LlamaMlp::append_parameters(std::vector<Parameter>& list) {
  for (Linear* linear : {&gate_proj_, &up_proj_, &down_proj_}) linear->append_parameters(list);
}

void LlamaMlp::append_linears(std::vector<Linear*>& list) {
  for (Linear* linear : {&gate_proj_, &up_proj_, &down_proj_}) list.push_back(linear);
}

LlamaLayer::LlamaLayer(const ModelConfig& config, std::size_t layer)
    : input_norm(layer_name(layer) + ".input_layernorm", config.hidden_size, config.norm_eps),
      attention(config, layer_name(layer) + ".self_attn", layer),
      post_attention_norm(layer_name(layer) + ".post_attention_layernorm", config.hidden_size,
                          config.norm_eps),
      mlp(config, layer_name(layer) + ".mlp") {}

void LlamaLayer::append_parameters(std::vector<Parameter>& list) {
  attention.append_parameters(list);
  mlp.append_parameters(list);
  input_norm.append_parameters(list);
  post_attention_norm.append_parameters(list);
}

LlamaDecoder::LlamaDecoder(const ModelConfig& config)
    : Decoder(config),
      rope_(config),
      embed_tokens_("model.embed_tokens", config.vocab_size, config.hidden_size),
      norm_("model.norm", config.hidden_size, config.norm_eps) {
  layers_.reserve(static_cast<std::size_t>(config.num_hidden_layers));
  for (std::int64_t i = 0; i < config.num_hidden_layers; ++i) {
    layers_.emplace_back(config, static_cast<std::size_t>(i));
  }
  if (!config.tie_word_embeddings) {
    lm_head_.emplace("lm_head", config.hidden_size, config.vocab_size, false);
  }
}

std::vector<Parameter> LlamaDecoder::parameters() {
  std::vector<Parameter> list;
  embed_tokens_.append_parameters(list);
  for (LlamaLayer& layer : layers_) layer.append_parameters(list);
  norm_.append_parameters(list);
  if (lm_head_) lm_head_->append_parameters(list);
  return list;
}

std::vector<Linear*> LlamaDecoder::linears() {
  std::vector<Linear*> list;
  for (LlamaLayer& layer : layers_) {
    layer.attention.append_linears(list);
    layer.mlp.append_linears(list);
  }
  return list;
}

std::string LlamaDecoder::block_name(std::int64_t block) const {
  return layer_name(static_cast<std::size_t>(block));
}

at::Tensor LlamaDecoder::embed(const at::Tensor& ids) const { return embed_tokens_(ids); }

at::Tensor LlamaDecoder::run_block(std::int64_t block, const at::Tensor& x,
                                   const Sequences& sequences) const {
  const auto i = static_cast<std::size_t>(block);
  const ops::RopeAngles angles = rope_.angles(sequences, whole_lengths(sequences, nullptr));
  return run_layer(i, layers_[i].input_norm(x), x, angles, sequences, nullptr, false).second;
}

std::pair<at::Tensor, at::Tensor> LlamaDecoder::run_layer(
    std::size_t i, const at::Tensor& normed, const at::Tensor& x, const ops::RopeAngles& angles,
    const Sequences& sequences, const StepCache* cache, bool recompute_mlp) const {
  const LlamaLayer& layer = layers_[i];
  const RmsNorm& next_norm = i + 1 < layers_.size() ? layers_[i + 1].input_norm : norm_;
  // x = x + attention(norm(x)); x = x + mlp(norm(x)); each sum is fused with the norm after it.
  const auto [middle_normed, middle] = layer.post_attention_norm.add(
      layer.attention(layer.input_norm.made_from(x, normed), angles, sequences, cache), x);
  const at::Tensor change =
      recompute_mlp ? recompute(
                          [&layer](const std::vector<at::Tensor>& in) {
                            return std::vector{layer.mlp({in[0], {}, {}})};
                          },
                          {middle_normed})
                          .front()
                    : layer.mlp(layer.post_attention_norm.made_from(middle, middle_normed));
  return next_norm.add(change, middle);
}

at::Tensor LlamaDecoder::forward(const at::Tensor& ids, const Sequences& sequences,
                                 const StepCache* cache) {
  const ops::RopeAngles angles = cache && !cache->rotary_scales.empty()
                                     ? rope_.angles(sequences, cache->rotary_scales)
                                     : rope_.angles(sequences, whole_lengths(sequences, cache));
  at::Tensor x = embed_tokens_(ids);  // the residual stream, [tokens, hidden_size]
  pack_for(cache);
  if (cache && packed_ && packed_->layers) {
    return packed_->layers->step(x, angles, sequences, cache->tables, cache->layers,
                                 cache->output_rows);
  }
  at::Tensor normed = layers_.front().input_norm(x);
  const bool trains = at::GradMode::is_enabled() && !cache;
  const bool selective = trains && checkpointing_ == ActivationCheckpointing::kSelective;
  for (std::size_t i = 0; i < layers_.size(); ++i) {
    if (trains && checkpointing_ == ActivationCheckpointing::kFull) {
      const auto layer = [this, i, angles, sequences](const std::vector<at::Tensor>& in) {
        const auto out = run_layer(i, in[0], in[1], angles, sequences, nullptr, false);
        return std::vector{out.first, out.second};
      };
      const std::vector<at::Tensor> out = recompute(layer, {normed, x});
      normed = out[0];
      x = out[1];
    } else {
      std::tie(normed, x) = run_layer(i, normed, x, angles, sequences, cache, selective);
    }
  }
  return wanted_rows(normed, cache);
}

void LlamaDecoder::pack_for(const StepCache* cache) {
  if (at::GradMode::is_enabled()) {
    packed_.reset();  // training may be about to change the weights
    return;
  }
  if (!cache || packed_) return;
  for (const Linear* linear : linears()) {
    if (linear->has_adapter()) return;  // the fused step knows weights alone
  }
  const auto weight_of = [](const Linear& linear) {
    return linear.is_quantized() ? ops::LayerWeight(linear.quantized())
                                 : ops::LayerWeight(linear.weight());
  };
  std::vector<ops::DecoderLayer> layers;
  for (const LlamaLayer& layer : layers_) {
    const LlamaAttention& attention = layer.attention;
    const LlamaMlp& mlp = layer.mlp;
    ops::DecoderLayer& plain = layers.emplace_back();
    plain.input_norm = layer.input_norm.weight();
    plain.query = weight_of(attention.q_proj_);
    plain.key = weight_of(attention.k_proj_);
    plain.value = weight_of(attention.v_proj_);
    plain.query_bias = attention.q_proj_.bias();
    plain.key_bias = attention.k_proj_.bias();
    plain.value_bias = attention.v_proj_.bias();
    if (attention.q_norm_) {
      plain.query_norm = attention.q_norm_->weight();
      plain.key_norm = attention.k_norm_->weight();
    }
    plain.output = weight_of(attention.o_proj_);
    plain.output_bias = attention.o_proj_.bias();
    plain.post_attention_norm = layer.post_attention_norm.weight();
    plain.gate = weight_of(mlp.gate_proj_);
    plain.up = weight_of(mlp.up_proj_);
    plain.down = weight_of(mlp.down_proj_);
    plain.gate_bias = mlp.gate_proj_.bias();
    plain.up_bias = mlp.up_proj_.bias();
    plain.down_bias = mlp.down_proj_.bias();
    plain.sliding_window = attention.options_.sliding_window;
  }
  if (!ops::DecoderStack::applies(layers)) {
    if (std::ranges::any_of(linears(), &Linear::is_quantized)) {
      packed_.emplace(Packed{std::nullopt, pack_output()});
    }
    return;
  }
  const ops::DecoderShape shape{config_.num_attention_heads, config_.num_key_value_heads,
                                config_.head_dim, config_.norm_eps,
                                layers_.front().attention.options_.scale};
  packed_.emplace(Packed{ops::DecoderStack(layers, norm_.weight(), shape), pack_output()});
}

ops::PackedWeight LlamaDecoder::pack_output() const {
  return quantized_output_.defined() ? ops::PackedWeight() : ops::PackedWeight(output_weight());
}

const at::Tensor& LlamaDecoder::output_weight() const {
  return lm_head_ ? lm_head_->weight() : embed_tokens_.weight();
}

std::string LlamaDecoder::output_name() const {
  return lm_head_ ? "lm_head.weight" : "model.embed_tokens.weight";
}

at::Tensor LlamaDecoder::logits(const at::Tensor& hidden) const {
  if (at::Tensor logits = quantized_logits(hidden); logits.defined()) return logits;
  if (packed_ && packed_->output.defined() && !at::GradMode::is_enabled()) {
    return ops::linear(hidden, packed_->output);
  }
  return ops::linear(hidden, output_weight());
}

}  // namespace tigerbot
