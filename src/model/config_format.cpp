#include <nlohmann/json.hpp>

#include "base/error.h"
#include "model/config.h"

namespace tigerbot {
namespace {

using OrderedJson = nlohmann::ordered_json;  // keys in the order in which they are written

const char* rope_type_name(RopeScaling::Kind kind) {
  switch (kind) {
    case RopeScaling::Kind::kNone:
      return "default";
    case RopeScaling::Kind::kLinear:
      return "linear";
    case RopeScaling::Kind::kDynamic:
      return "dynamic";
    case RopeScaling::Kind::kYarn:
      return "yarn";
    case RopeScaling::Kind::kLlama3:
      return "llama3";
  }
  fail_internal("no such rope scaling");
}

OrderedJson format_rope_scaling(const RopeScaling& scaling) {
  OrderedJson json = OrderedJson::object();
  json["rope_type"] = rope_type_name(scaling.kind);
  if (scaling.kind == RopeScaling::Kind::kNone) return json;
  json["factor"] = scaling.factor;
  if (scaling.kind == RopeScaling::Kind::kYarn) {
    json["original_max_position_embeddings"] = scaling.original_max_position_embeddings;
    json["beta_fast"] = scaling.beta_fast;
    json["beta_slow"] = scaling.beta_slow;
    if (scaling.attention_factor) json["attention_factor"] = *scaling.attention_factor;
    if (scaling.mscale) json["mscale"] = *scaling.mscale;
    if (scaling.mscale_all_dim) json["mscale_all_dim"] = *scaling.mscale_all_dim;
    if (!scaling.truncate) json["truncate"] = false;
  }
  if (scaling.kind == RopeScaling::Kind::kLlama3) {
    json["original_max_position_embeddings"] = scaling.original_max_position_embeddings;
    json["low_freq_factor"] = scaling.low_freq_factor;
    json["high_freq_factor"] = scaling.high_freq_factor;
  }
  return json;
}

const char* architecture(const ModelConfig& config) {
  if (config.model_type == "mistral") return "MistralForCausalLM";
  if (config.model_type == "qwen2") return "Qwen2ForCausalLM";
  if (config.model_type == "qwen3") return "Qwen3ForCausalLM";
  if (config.model_type == "bloom") return "BloomForCausalLM";
  if (config.model_type == "bert") return "BertModel";
  return "LlamaForCausalLM";
}

void format_llama(const ModelConfig& config, OrderedJson& json) {
  json["hidden_size"] = config.hidden_size;
  json["intermediate_size"] = config.intermediate_size;
  json["num_hidden_layers"] = config.num_hidden_layers;
  json["num_attention_heads"] = config.num_attention_heads;
  json["num_key_value_heads"] = config.num_key_value_heads;
  json["head_dim"] = config.head_dim;
  json["hidden_act"] = config.hidden_act;
  json["max_position_embeddings"] = config.max_position_embeddings;
  json["rms_norm_eps"] = config.norm_eps;
  OrderedJson rope = format_rope_scaling(config.rope_scaling);
  if (config.rope_scaling.kind == RopeScaling::Kind::kNone) {
    json["rope_scaling"] = nullptr;
  } else {
    json["rope_scaling"] = rope;
  }
  json["rope_theta"] = config.rope_theta;
  rope["rope_theta"] = config.rope_theta;
  json["rope_parameters"] = rope;

  const bool is_qwen = config.model_type == "qwen2" || config.model_type == "qwen3";
  if (config.model_type == "llama" || config.model_type == "qwen3") {
    json["attention_bias"] = config.attention_bias;
  }
  if (config.model_type == "llama") json["mlp_bias"] = config.mlp_bias;
  if (config.model_type == "mistral" || is_qwen) {
    const OrderedJson window =
        config.sliding_window == 0 ? OrderedJson(nullptr) : OrderedJson(config.sliding_window);
    json["sliding_window"] = window;
  }
  if (is_qwen) {
    json["use_sliding_window"] = config.sliding_window != 0;
    OrderedJson types = OrderedJson::array();
    std::int64_t first_window = config.num_hidden_layers;
    for (std::int64_t i = config.num_hidden_layers - 1; i >= 0; --i) {
      if (config.window_of_layer(i) != 0) first_window = i;
    }
    for (std::int64_t i = 0; i < config.num_hidden_layers; ++i) {
      types.push_back(config.window_of_layer(i) == 0 ? "full_attention" : "sliding_attention");
    }
    json["layer_types"] = types;
    json["max_window_layers"] = first_window;  // what older readers know
  }
}

void format_bloom(const ModelConfig& config, OrderedJson& json) {
  json["hidden_size"] = config.hidden_size;
  json["n_layer"] = config.num_hidden_layers;
  json["n_head"] = config.num_attention_heads;
  json["seq_length"] = config.max_position_embeddings;
  json["layer_norm_epsilon"] = config.norm_eps;
  json["apply_residual_connection_post_layernorm"] = false;
}

void format_bert(const ModelConfig& config, OrderedJson& json) {
  json["hidden_size"] = config.hidden_size;
  json["intermediate_size"] = config.intermediate_size;
  json["num_hidden_layers"] = config.num_hidden_layers;
  json["num_attention_heads"] = config.num_attention_heads;
  json["hidden_act"] = config.hidden_act;
  json["max_position_embeddings"] = config.max_position_embeddings;
  json["type_vocab_size"] = config.type_vocab_size;
  json["layer_norm_eps"] = config.norm_eps;
  json["position_embedding_type"] = "absolute";
}

}  // namespace

std::string format_model_config(const ModelConfig& config) {
  OrderedJson json = OrderedJson::object();
  json["architectures"] = OrderedJson::array({architecture(config)});
  json["model_type"] = config.model_type;
  json["vocab_size"] = config.vocab_size;
  switch (config.family) {
    case ModelConfig::Family::kLlama:
      format_llama(config, json);
      break;
    case ModelConfig::Family::kBloom:
      format_bloom(config, json);
      break;
    case ModelConfig::Family::kBert:
      format_bert(config, json);
      break;
  }
  json["tie_word_embeddings"] = config.tie_word_embeddings;
  if (config.bos_token_id) {
    json["bos_token_id"] = *config.bos_token_id;
  } else {
    json["bos_token_id"] = nullptr;
  }
  if (config.eos_token_ids.empty()) {
    json["eos_token_id"] = nullptr;
  } else if (config.eos_token_ids.size() == 1) {
    json["eos_token_id"] = config.eos_token_ids.front();
  } else {
    json["eos_token_id"] = config.eos_token_ids;
  }
  if (config.pad_token_id) {
    json["pad_token_id"] = *config.pad_token_id;
  } else {
    json["pad_token_id"] = nullptr;
  }
  if (!config.torch_dtype.empty()) {
    json["dtype"] = config.torch_dtype;        // transformers 4.56 and newer
    json["torch_dtype"] = config.torch_dtype;  // all before
  }
  return json.dump(2) + "\n";
}

}  // namespace tigerbot
