#include "model/config.h"

#include <array>
#include <initializer_list>
#include <utility>

#include "base/error.h"
#include "base/json.h"

namespace tigerbot {
namespace {

// Far above any model there is, and small enough that no product of two of them overflows.
constexpr std::int64_t kMaxWidth = std::int64_t{1} << 24;
constexpr std::int64_t kMaxLayers = 1 << 16;
constexpr std::int64_t kMaxPositions = std::int64_t{1} << 31;

std::optional<std::int64_t> find_integer(JsonReader& fields, std::string_view key, std::int64_t low,
                                         std::int64_t high) {
  const auto value = fields.find<std::int64_t>(key);
  if (value && (*value < low || *value > high)) {
    fail("{} is {}; it must be from {} to {}", fields.place(key), *value, low, high);
  }
  return value;
}

/// A size that the model cannot do without, under the first of `keys` that is there.
std::int64_t size(JsonReader& fields, std::initializer_list<std::string_view> keys,
                  std::int64_t high) {
  for (const std::string_view key : keys) {
    if (const auto value = find_integer(fields, key, 1, high)) return *value;
  }
  fail("{} is missing; a model's config.json gives it", fields.place(*keys.begin()));
}

double positive(JsonReader& fields, std::string_view key, double fallback) {
  const double value = fields.get<double>(key, fallback);
  if (!(value > 0)) fail("{} is {}; it must be above 0", fields.place(key), value);
  return value;
}

/// One id or a list of ids.
std::vector<std::int64_t> token_ids(JsonReader& fields, std::string_view key) {
  const auto value = fields.find<Json>(key);
  if (!value) return {};
  const auto ids = value->is_array() ? fields.get<std::vector<std::int64_t>>(key)
                                     : std::vector{fields.get<std::int64_t>(key)};
  for (const std::int64_t id : ids) {
    if (id < 0) fail("{} holds {}; an id is not negative", fields.place(key), id);
  }
  return ids;
}

// --- Rotary embedding ----------------------------------------------------------------------------

constexpr std::array<std::pair<std::string_view, RopeScaling::Kind>, 5> kRopeKinds = {{
    {"default", RopeScaling::Kind::kNone},
    {"linear", RopeScaling::Kind::kLinear},
    {"dynamic", RopeScaling::Kind::kDynamic},
    {"yarn", RopeScaling::Kind::kYarn},
    {"llama3", RopeScaling::Kind::kLlama3},
}};

RopeScaling::Kind rope_kind(JsonReader& fields) {
  const std::string key = fields.has("rope_type") ? "rope_type" : "type";
  const std::string type = fields.get(key, "default");
  for (const auto& [name, kind] : kRopeKinds) {
    if (type == name) return kind;
  }
  fail("{} is \"{}\"; the known ones are default, linear, dynamic, yarn and llama3",
       fields.place(key), type);
}

RopeScaling parse_rope_scaling(JsonReader& fields, std::int64_t max_position_embeddings) {
  RopeScaling scaling;
  scaling.kind = rope_kind(fields);
  if (positive(fields, "partial_rotary_factor", 1.0) != 1.0) {
    fail("{} is not 1; models whose heads turn only in part do not run here",
         fields.place("partial_rotary_factor"));
  }
  if (scaling.kind == RopeScaling::Kind::kNone) return scaling;

  const bool is_yarn = scaling.kind == RopeScaling::Kind::kYarn;
  const bool is_llama3 = scaling.kind == RopeScaling::Kind::kLlama3;
  if (is_yarn || is_llama3) {
    scaling.original_max_position_embeddings =
        find_integer(fields, "original_max_position_embeddings", 1, kMaxPositions)
            .value_or(max_position_embeddings);
  }
  if (is_yarn && !fields.has("factor")) {
    scaling.factor = static_cast<double>(max_position_embeddings) /
                     static_cast<double>(scaling.original_max_position_embeddings);
  } else {
    scaling.factor = fields.get<double>("factor");
    if (!(scaling.factor > 0)) {
      fail("{} is {}; it must be above 0", fields.place("factor"), scaling.factor);
    }
  }
  if (is_yarn) {
    // Zero stands for "not given" in published files.
    const double fast = fields.get<double>("beta_fast", 0);
    const double slow = fields.get<double>("beta_slow", 0);
    if (fast != 0) scaling.beta_fast = fast;
    if (slow != 0) scaling.beta_slow = slow;
    if (!(scaling.beta_slow > 0) || scaling.beta_fast < scaling.beta_slow) {
      fail("{} is {} and beta_slow is {}; both must be above 0, the first not below the second",
           fields.place("beta_fast"), scaling.beta_fast, scaling.beta_slow);
    }
    scaling.attention_factor = fields.find<double>("attention_factor");
    scaling.mscale = fields.find<double>("mscale");
    scaling.mscale_all_dim = fields.find<double>("mscale_all_dim");
    scaling.truncate = fields.get<bool>("truncate", true);
  }
  if (is_llama3) {
    scaling.low_freq_factor = positive(fields, "low_freq_factor", scaling.low_freq_factor);
    scaling.high_freq_factor = positive(fields, "high_freq_factor", scaling.high_freq_factor);
    if (scaling.high_freq_factor <= scaling.low_freq_factor) {
      fail("{} is {}; it must be above low_freq_factor, which is {}",
           fields.place("high_freq_factor"), scaling.high_freq_factor, scaling.low_freq_factor);
    }
  }
  return scaling;
}

// --- Families ------------------------------------------------------------------------------------

double norm_eps(JsonReader& fields, std::string_view key, double fallback) {
  const double eps = fields.get<double>(key, fallback);
  if (!(eps >= 0 && eps < 1)) fail("{} is {}; it must be from 0 to 1", fields.place(key), eps);
  return eps;
}

void divide_heads(JsonReader& fields, ModelConfig& config) {
  if (config.hidden_size % config.num_attention_heads != 0) {
    fail("{} {} is no multiple of the {} attention heads, and no head_dim is given",
         fields.place("hidden_size"), config.hidden_size, config.num_attention_heads);
  }
  config.head_dim = config.hidden_size / config.num_attention_heads;
}

/// Which layers of a Qwen model see a window only.
std::vector<bool> window_layers(JsonReader& fields, std::int64_t layers) {
  std::vector<bool> windowed(static_cast<std::size_t>(layers), false);
  const auto types = fields.find<std::vector<std::string>>("layer_types");
  if (!types) {
    const auto first = find_integer(fields, "max_window_layers", 0, kMaxLayers).value_or(28);
    for (std::int64_t i = first; i < layers; ++i) windowed[static_cast<std::size_t>(i)] = true;
    return windowed;
  }
  if (types->size() != windowed.size()) {
    fail("{} lists {} layers; the model has {}", fields.place("layer_types"), types->size(),
         layers);
  }
  for (std::size_t i = 0; i < windowed.size(); ++i) {
    const std::string& type = (*types)[i];
    windowed[i] = type == "sliding_attention";
    if (!windowed[i] && type != "full_attention") {
      fail("{} holds \"{}\"; the known ones are full_attention and sliding_attention",
           fields.place("layer_types"), type);
    }
  }
  return windowed;
}

void parse_windows(JsonReader& fields, ModelConfig& config) {
  if (config.model_type == "llama") return;  // transformers ignores the key there
  const bool is_qwen = config.model_type != "mistral";
  if (is_qwen && !fields.get<bool>("use_sliding_window", false)) return;
  // Absent means the default of transformers' class; null means none.
  const bool is_null = fields.value().contains("sliding_window") && !fields.has("sliding_window");
  config.sliding_window =
      find_integer(fields, "sliding_window", 1, kMaxPositions).value_or(is_null ? 0 : 4096);
  if (is_qwen && config.sliding_window != 0) {
    config.layer_uses_window = window_layers(fields, config.num_hidden_layers);
  }
}

void parse_llama(JsonReader& fields, ModelConfig& config) {
  config.family = ModelConfig::Family::kLlama;
  config.hidden_size = size(fields, {"hidden_size"}, kMaxWidth);
  config.intermediate_size = size(fields, {"intermediate_size"}, kMaxWidth);
  config.num_hidden_layers = size(fields, {"num_hidden_layers"}, kMaxLayers);
  config.num_attention_heads = size(fields, {"num_attention_heads"}, kMaxWidth);
  if (config.model_type != "llama" && !fields.value().contains("num_key_value_heads")) {
    fail("{} is missing; a {} model gives it", fields.place("num_key_value_heads"),
         config.model_type);
  }
  config.num_key_value_heads = find_integer(fields, "num_key_value_heads", 1, kMaxWidth)
                                   .value_or(config.num_attention_heads);
  if (const auto head_dim = find_integer(fields, "head_dim", 1, kMaxWidth)) {
    config.head_dim = *head_dim;
  } else if (config.model_type == "qwen3") {
    config.head_dim = 128;
  } else {
    divide_heads(fields, config);
  }
  config.max_position_embeddings = size(fields, {"max_position_embeddings"}, kMaxPositions);
  config.norm_eps = norm_eps(fields, "rms_norm_eps", 1e-6);
  config.hidden_act = fields.get("hidden_act", "silu");
  if (config.hidden_act == "swish") config.hidden_act = "silu";
  if (config.hidden_act != "silu") {
    fail("{} is \"{}\"; a {} model here has silu", fields.place("hidden_act"), config.hidden_act,
         config.model_type);
  }
  config.tie_word_embeddings = fields.get<bool>("tie_word_embeddings", false);

  // transformers 5 writes "rope_parameters", the base inside; older ones "rope_scaling" beside it.
  auto rope = fields.find_object(fields.has("rope_scaling") ? "rope_scaling" : "rope_parameters");
  config.rope_theta = positive(fields, "rope_theta", 10000.0);
  if (rope) {
    config.rope_theta = positive(*rope, "rope_theta", config.rope_theta);
    config.rope_scaling = parse_rope_scaling(*rope, config.max_position_embeddings);
  }

  const bool attention_bias = fields.get<bool>("attention_bias", false);
  if (config.model_type == "qwen2") {
    config.attention_bias = true;
  } else if (config.model_type != "mistral") {
    config.attention_bias = config.attention_output_bias = attention_bias;
  }
  config.mlp_bias = config.model_type == "llama" && fields.get<bool>("mlp_bias", false);
  config.query_key_norm = config.model_type == "qwen3";
  parse_windows(fields, config);
}

void parse_bloom(JsonReader& fields, ModelConfig& config) {
  config.family = ModelConfig::Family::kBloom;
  config.hidden_size = size(fields, {"n_embed", "hidden_size"}, kMaxWidth);
  config.intermediate_size = 4 * config.hidden_size;
  config.num_hidden_layers = size(fields, {"n_layer", "num_hidden_layers"}, kMaxLayers);
  config.num_attention_heads = size(fields, {"n_head", "num_attention_heads"}, kMaxWidth);
  config.num_key_value_heads = config.num_attention_heads;
  divide_heads(fields, config);
  // ALiBi sets no limit; the published models were trained on sequences of 2,048.
  config.max_position_embeddings =
      find_integer(fields, "seq_length", 1, kMaxPositions).value_or(2048);
  config.norm_eps = norm_eps(fields, "layer_norm_epsilon", 1e-5);
  config.hidden_act = "gelu_pytorch_tanh";
  config.tie_word_embeddings = fields.get<bool>("tie_word_embeddings", true);
  if (fields.get<bool>("apply_residual_connection_post_layernorm", false)) {
    fail("{} is true; only false, as in the published BLOOM models, runs here",
         fields.place("apply_residual_connection_post_layernorm"));
  }
}

void parse_bert(JsonReader& fields, ModelConfig& config) {
  config.family = ModelConfig::Family::kBert;
  config.hidden_size = size(fields, {"hidden_size"}, kMaxWidth);
  config.intermediate_size = size(fields, {"intermediate_size"}, kMaxWidth);
  config.num_hidden_layers = size(fields, {"num_hidden_layers"}, kMaxLayers);
  config.num_attention_heads = size(fields, {"num_attention_heads"}, kMaxWidth);
  config.num_key_value_heads = config.num_attention_heads;
  divide_heads(fields, config);
  config.max_position_embeddings = size(fields, {"max_position_embeddings"}, kMaxPositions);
  config.type_vocab_size = find_integer(fields, "type_vocab_size", 1, kMaxWidth).value_or(2);
  config.norm_eps = norm_eps(fields, "layer_norm_eps", 1e-12);
  config.hidden_act = fields.get("hidden_act", "gelu");
  if (config.hidden_act != "gelu" && config.hidden_act != "gelu_new" &&
      config.hidden_act != "gelu_pytorch_tanh") {
    fail("{} is \"{}\"; a BERT encoder here has gelu, gelu_new or gelu_pytorch_tanh",
         fields.place("hidden_act"), config.hidden_act);
  }
  const std::string positions = fields.get("position_embedding_type", "absolute");
  if (positions != "absolute") {
    fail("{} is \"{}\"; only absolute runs here", fields.place("position_embedding_type"),
         positions);
  }
  if (fields.get<bool>("is_decoder", false)) {
    fail("{} is true; BERT runs here as an encoder only", fields.place("is_decoder"));
  }
  config.tie_word_embeddings = fields.get<bool>("tie_word_embeddings", true);
}

void check_fit(JsonReader& fields, const ModelConfig& config) {
  if (config.num_attention_heads % config.num_key_value_heads != 0) {
    fail("{} {} is no multiple of num_key_value_heads, which is {}",
         fields.place("num_attention_heads"), config.num_attention_heads,
         config.num_key_value_heads);
  }
  if (config.num_attention_heads * config.head_dim > kMaxWidth) {
    fail("{} times head_dim is {} features; at most {} can be", fields.place("num_attention_heads"),
         config.num_attention_heads * config.head_dim, kMaxWidth);
  }
  if (config.family == ModelConfig::Family::kLlama && config.head_dim % 2 != 0) {
    fail("{} is {}; rotary embedding needs an even one", fields.place("head_dim"), config.head_dim);
  }
}

void parse_family(JsonReader& fields, ModelConfig& config) {
  const std::string& type = config.model_type;
  if (type == "llama" || type == "mistral" || type == "qwen2" || type == "qwen3") {
    parse_llama(fields, config);
  } else if (type == "bloom") {
    parse_bloom(fields, config);
  } else if (type == "bert") {
    parse_bert(fields, config);
  } else {
    fail("{} is \"{}\"; llama, mistral, qwen2, qwen3, bloom and bert run here",
         fields.place("model_type"), type);
  }
}

}  // namespace

std::int64_t ModelConfig::window_of_layer(std::int64_t layer) const {
  if (layer_uses_window.empty()) return sliding_window;
  return layer_uses_window.at(static_cast<std::size_t>(layer)) ? sliding_window : 0;
}

ModelConfig parse_model_config(std::string_view text, const std::string& path) {
  const Json document = parse_json(text, path);
  JsonReader fields(document, path);

  ModelConfig config;
  config.model_type = fields.get<std::string>("model_type");
  config.vocab_size = size(fields, {"vocab_size"}, kMaxWidth);
  parse_family(fields, config);
  check_fit(fields, config);

  config.torch_dtype = fields.get(fields.has("dtype") ? "dtype" : "torch_dtype", "");
  if (config.torch_dtype.starts_with("torch.")) config.torch_dtype.erase(0, 6);
  config.bos_token_id = find_integer(fields, "bos_token_id", 0, kMaxPositions);
  config.eos_token_ids = token_ids(fields, "eos_token_id");
  // Some published files say -1 for "none".
  config.pad_token_id = find_integer(fields, "pad_token_id", -1, kMaxPositions);
  if (config.pad_token_id && *config.pad_token_id < 0) config.pad_token_id.reset();
  return config;
}

}  // namespace tigerbot
