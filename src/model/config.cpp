#include "model/config.h"

#include <array>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

#include "base/error.h"

namespace tigerbot {
namespace {

using Json = nlohmann::ordered_json;

// Far above any model there is, and small enough that no product of two of them overflows.
constexpr std::int64_t kMaxWidth = std::int64_t{1} << 24;
constexpr std::int64_t kMaxLayers = 1 << 16;
constexpr std::int64_t kMaxPositions = std::int64_t{1} << 31;

/// One JSON object of a config file. A key that is absent and one that is null are the same.
class Fields {
 public:
  Fields(const Json& object, std::string path, std::string prefix = "")
      : object_(object), path_(std::move(path)), prefix_(std::move(prefix)) {}

  const Json* find(std::string_view key) const {
    const auto it = object_.find(key);
    return it == object_.end() || it->is_null() ? nullptr : &*it;
  }
  bool contains(std::string_view key) const { return object_.contains(key); }

  std::optional<double> number(std::string_view key) const {
    const Json* value = find(key);
    if (!value) return std::nullopt;
    if (!value->is_number() || !std::isfinite(value->get<double>())) {
      wrong(key, *value, "a number");
    }
    return value->get<double>();
  }

  std::optional<std::int64_t> integer(std::string_view key, std::int64_t low,
                                      std::int64_t high) const {
    const Json* value = find(key);
    if (!value) return std::nullopt;
    return checked_integer(key, *value, low, high);
  }

  /// A size that the model cannot do without, under the first of `keys` that is there.
  std::int64_t size(std::initializer_list<std::string_view> keys, std::int64_t high) const {
    for (const std::string_view key : keys) {
      if (const auto value = integer(key, 1, high)) return *value;
    }
    fail("{}: \"{}{}\" is missing; a model's config.json gives it", path_, prefix_, *keys.begin());
  }

  std::optional<bool> boolean(std::string_view key) const {
    const Json* value = find(key);
    if (!value) return std::nullopt;
    if (!value->is_boolean()) wrong(key, *value, "true or false");
    return value->get<bool>();
  }

  std::optional<std::string> string(std::string_view key) const {
    const Json* value = find(key);
    if (!value) return std::nullopt;
    if (!value->is_string()) wrong(key, *value, "a string");
    return value->get<std::string>();
  }

  /// One id or a list of ids.
  std::vector<std::int64_t> ids(std::string_view key) const {
    const Json* value = find(key);
    if (!value) return {};
    if (!value->is_array()) return {checked_integer(key, *value, 0, kMaxPositions)};
    std::vector<std::int64_t> out;
    for (const Json& id : *value) out.push_back(checked_integer(key, id, 0, kMaxPositions));
    return out;
  }

  std::optional<Fields> object(std::string_view key) const {
    const Json* value = find(key);
    if (!value) return std::nullopt;
    if (!value->is_object()) wrong(key, *value, "an object");
    return Fields(*value, path_, prefix_ + std::string(key) + ".");
  }

  std::string name(std::string_view key) const { return fmt::format("\"{}{}\"", prefix_, key); }
  const std::string& path() const { return path_; }

 private:
  std::int64_t checked_integer(std::string_view key, const Json& value, std::int64_t low,
                               std::int64_t high) const {
    const bool whole =
        value.is_number_integer() ||
        (value.is_number_float() && std::trunc(value.get<double>()) == value.get<double>());
    // A float64 holds every integer in the ranges that are asked for.
    const double number = whole ? value.get<double>() : -1.0;
    if (!whole || number < static_cast<double>(low) || number > static_cast<double>(high)) {
      wrong(key, value, fmt::format("a whole number from {} to {}", low, high));
    }
    return static_cast<std::int64_t>(number);
  }

  [[noreturn]] void wrong(std::string_view key, const Json& value,
                          std::string_view expected) const {
    std::string shown = value.dump(-1, ' ', true, Json::error_handler_t::replace);
    if (shown.size() > 40) shown = shown.substr(0, 40) + "...";
    fail("{}: {} is {}; it must be {}", path_, name(key), shown, expected);
  }

  const Json& object_;
  std::string path_;
  std::string prefix_;
};

Json parse_object(std::string_view text, const std::string& path) {
  Json json;
  try {
    json = Json::parse(text);
  } catch (const nlohmann::json::exception&) {
    fail("{}: not valid JSON; the file may be cut short, fetch the model again", path);
  }
  if (!json.is_object()) fail("{}: not a JSON object; a model's config.json is one", path);
  return json;
}

// --- Rotary embedding ----------------------------------------------------------------------------

struct RopeKindName {
  RopeScaling::Kind kind;
  const char* name;
};
constexpr std::array<RopeKindName, 5> kRopeKinds = {{
    {RopeScaling::Kind::kNone, "default"},
    {RopeScaling::Kind::kLinear, "linear"},
    {RopeScaling::Kind::kDynamic, "dynamic"},
    {RopeScaling::Kind::kYarn, "yarn"},
    {RopeScaling::Kind::kLlama3, "llama3"},
}};

double positive(const Fields& fields, std::string_view key, double fallback) {
  const double value = fields.number(key).value_or(fallback);
  if (!(value > 0))
    fail("{}: {} is {}; it must be above 0", fields.path(), fields.name(key), value);
  return value;
}

RopeScaling parse_rope_scaling(const Fields& fields, std::int64_t max_position_embeddings) {
  const std::string type =
      fields.string("rope_type").value_or(fields.string("type").value_or("default"));
  RopeScaling scaling;
  bool known = false;
  for (const RopeKindName& entry : kRopeKinds) {
    if (type != entry.name) continue;
    scaling.kind = entry.kind;
    known = true;
  }
  if (!known) {
    fail("{}: {} is \"{}\"; the known ones are default, linear, dynamic, yarn and llama3",
         fields.path(), fields.name("rope_type"), type);
  }
  if (positive(fields, "partial_rotary_factor", 1.0) != 1.0) {
    fail("{}: {} is not 1; a partly rotated head is not among the models that run here",
         fields.path(), fields.name("partial_rotary_factor"));
  }
  if (scaling.kind == RopeScaling::Kind::kNone) return scaling;

  const bool needs_original =
      scaling.kind == RopeScaling::Kind::kYarn || scaling.kind == RopeScaling::Kind::kLlama3;
  if (needs_original) {
    scaling.original_max_position_embeddings =
        fields.integer("original_max_position_embeddings", 1, kMaxPositions)
            .value_or(max_position_embeddings);
  }
  if (fields.find("factor")) {
    scaling.factor = positive(fields, "factor", 1.0);
  } else if (scaling.kind == RopeScaling::Kind::kYarn) {
    scaling.factor = static_cast<double>(max_position_embeddings) /
                     static_cast<double>(scaling.original_max_position_embeddings);
  } else {
    fail("{}: {} is missing; {} scaling needs it", fields.path(), fields.name("factor"), type);
  }
  if (scaling.kind == RopeScaling::Kind::kYarn) {
    // Zero stands for "not given" in published files.
    scaling.beta_fast = fields.number("beta_fast").value_or(0);
    scaling.beta_slow = fields.number("beta_slow").value_or(0);
    if (scaling.beta_fast == 0) scaling.beta_fast = RopeScaling{}.beta_fast;
    if (scaling.beta_slow == 0) scaling.beta_slow = RopeScaling{}.beta_slow;
    if (!(scaling.beta_slow > 0) || scaling.beta_fast < scaling.beta_slow) {
      fail("{}: {} is {} and {} is {}; both must be above 0 and the first not below the second",
           fields.path(), fields.name("beta_fast"), scaling.beta_fast, fields.name("beta_slow"),
           scaling.beta_slow);
    }
    scaling.attention_factor = fields.number("attention_factor");
    scaling.mscale = fields.number("mscale");
    scaling.mscale_all_dim = fields.number("mscale_all_dim");
    scaling.truncate = fields.boolean("truncate").value_or(true);
  }
  if (scaling.kind == RopeScaling::Kind::kLlama3) {
    scaling.low_freq_factor = positive(fields, "low_freq_factor", scaling.low_freq_factor);
    scaling.high_freq_factor = positive(fields, "high_freq_factor", scaling.high_freq_factor);
    if (scaling.high_freq_factor <= scaling.low_freq_factor) {
      fail("{}: {} is {}; it must be above {}, which is {}", fields.path(),
           fields.name("high_freq_factor"), scaling.high_freq_factor,
           fields.name("low_freq_factor"), scaling.low_freq_factor);
    }
  }
  return scaling;
}

Json format_rope_scaling(const RopeScaling& scaling) {
  Json json = Json::object();
  for (const RopeKindName& entry : kRopeKinds) {
    if (entry.kind == scaling.kind) json["rope_type"] = entry.name;
  }
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

// --- Families ------------------------------------------------------------------------------------

double parse_eps(const Fields& fields, std::string_view key, double fallback) {
  const double eps = fields.number(key).value_or(fallback);
  if (!(eps >= 0 && eps < 1)) {
    fail("{}: {} is {}; it must be from 0 to 1", fields.path(), fields.name(key), eps);
  }
  return eps;
}

void divide_heads(const Fields& fields, ModelConfig& config) {
  if (config.hidden_size % config.num_attention_heads != 0) {
    fail(
        "{}: \"hidden_size\" {} is no multiple of \"num_attention_heads\" {} and no \"head_dim\" "
        "is "
        "given",
        fields.path(), config.hidden_size, config.num_attention_heads);
  }
  config.head_dim = config.hidden_size / config.num_attention_heads;
}

void parse_windows(const Fields& fields, ModelConfig& config) {
  if (config.model_type == "llama") return;  // transformers ignores the key there
  const bool is_qwen = config.model_type != "mistral";
  if (is_qwen && !fields.boolean("use_sliding_window").value_or(false)) return;
  // Absent means the class's default; null means none.
  const std::int64_t fallback = fields.contains("sliding_window") ? 0 : 4096;
  config.sliding_window = fields.integer("sliding_window", 1, kMaxPositions).value_or(fallback);
  if (!is_qwen || config.sliding_window == 0) return;

  const auto layers = static_cast<std::size_t>(config.num_hidden_layers);
  config.layer_uses_window.assign(layers, false);
  const Json* types = fields.find("layer_types");
  if (!types) {
    const std::int64_t first = fields.integer("max_window_layers", 0, kMaxLayers).value_or(28);
    for (std::size_t i = 0; i < layers; ++i) {
      config.layer_uses_window[i] = static_cast<std::int64_t>(i) >= first;
    }
    return;
  }
  if (!types->is_array() || types->size() != layers) {
    fail("{}: \"layer_types\" must list one type for each of the {} layers", fields.path(), layers);
  }
  for (std::size_t i = 0; i < layers; ++i) {
    const Json& type = (*types)[i];
    config.layer_uses_window[i] = type == "sliding_attention";
    if (type != "sliding_attention" && type != "full_attention") {
      fail("{}: \"layer_types\" entry {} is neither \"full_attention\" nor \"sliding_attention\"",
           fields.path(), i);
    }
  }
}

void parse_llama(const Fields& fields, ModelConfig& config) {
  config.family = ModelConfig::Family::kLlama;
  config.hidden_size = fields.size({"hidden_size"}, kMaxWidth);
  config.intermediate_size = fields.size({"intermediate_size"}, kMaxWidth);
  config.num_hidden_layers = fields.size({"num_hidden_layers"}, kMaxLayers);
  config.num_attention_heads = fields.size({"num_attention_heads"}, kMaxWidth);
  if (config.model_type != "llama" && !fields.contains("num_key_value_heads")) {
    fail("{}: \"num_key_value_heads\" is missing; a {} model gives it", fields.path(),
         config.model_type);
  }
  config.num_key_value_heads =
      fields.integer("num_key_value_heads", 1, kMaxWidth).value_or(config.num_attention_heads);
  if (const auto head_dim = fields.integer("head_dim", 1, kMaxWidth)) {
    config.head_dim = *head_dim;
  } else if (config.model_type == "qwen3") {
    config.head_dim = 128;
  } else {
    divide_heads(fields, config);
  }
  config.max_position_embeddings = fields.size({"max_position_embeddings"}, kMaxPositions);
  config.norm_eps = parse_eps(fields, "rms_norm_eps", 1e-6);
  config.hidden_act = fields.string("hidden_act").value_or("silu");
  if (config.hidden_act == "swish") config.hidden_act = "silu";
  if (config.hidden_act != "silu") {
    fail("{}: \"hidden_act\" is \"{}\"; a {} model has \"silu\"", fields.path(), config.hidden_act,
         config.model_type);
  }
  config.tie_word_embeddings = fields.boolean("tie_word_embeddings").value_or(false);

  // transformers 5 writes "rope_parameters" with the base inside; before, "rope_scaling" without
  // it.
  const auto rope = fields.object(fields.find("rope_scaling") ? "rope_scaling" : "rope_parameters");
  config.rope_theta = positive(fields, "rope_theta", 10000.0);
  if (rope) {
    config.rope_theta = positive(*rope, "rope_theta", config.rope_theta);
    config.rope_scaling = parse_rope_scaling(*rope, config.max_position_embeddings);
  }

  const bool attention_bias = fields.boolean("attention_bias").value_or(false);
  if (config.model_type == "qwen2") {
    config.attention_bias = true;
  } else if (config.model_type != "mistral") {
    config.attention_bias = config.attention_output_bias = attention_bias;
  }
  config.mlp_bias = config.model_type == "llama" && fields.boolean("mlp_bias").value_or(false);
  config.query_key_norm = config.model_type == "qwen3";
  parse_windows(fields, config);
}

void parse_bloom(const Fields& fields, ModelConfig& config) {
  config.family = ModelConfig::Family::kBloom;
  config.hidden_size = fields.size({"n_embed", "hidden_size"}, kMaxWidth);
  config.intermediate_size = 4 * config.hidden_size;
  config.num_hidden_layers = fields.size({"n_layer", "num_hidden_layers"}, kMaxLayers);
  config.num_attention_heads = fields.size({"n_head", "num_attention_heads"}, kMaxWidth);
  config.num_key_value_heads = config.num_attention_heads;
  divide_heads(fields, config);
  // ALiBi sets no limit; the published models were trained on sequences of 2,048.
  config.max_position_embeddings = fields.integer("seq_length", 1, kMaxPositions).value_or(2048);
  config.norm_eps = parse_eps(fields, "layer_norm_epsilon", 1e-5);
  config.hidden_act = "gelu_pytorch_tanh";
  config.tie_word_embeddings = fields.boolean("tie_word_embeddings").value_or(true);
  if (fields.boolean("apply_residual_connection_post_layernorm").value_or(false)) {
    fail(
        "{}: \"apply_residual_connection_post_layernorm\" is true; only BLOOM's own false runs "
        "here",
        fields.path());
  }
}

void parse_bert(const Fields& fields, ModelConfig& config) {
  config.family = ModelConfig::Family::kBert;
  config.hidden_size = fields.size({"hidden_size"}, kMaxWidth);
  config.intermediate_size = fields.size({"intermediate_size"}, kMaxWidth);
  config.num_hidden_layers = fields.size({"num_hidden_layers"}, kMaxLayers);
  config.num_attention_heads = fields.size({"num_attention_heads"}, kMaxWidth);
  config.num_key_value_heads = config.num_attention_heads;
  divide_heads(fields, config);
  config.max_position_embeddings = fields.size({"max_position_embeddings"}, kMaxPositions);
  config.type_vocab_size = fields.integer("type_vocab_size", 1, kMaxWidth).value_or(2);
  config.norm_eps = parse_eps(fields, "layer_norm_eps", 1e-12);
  config.hidden_act = fields.string("hidden_act").value_or("gelu");
  if (config.hidden_act != "gelu" && config.hidden_act != "gelu_new" &&
      config.hidden_act != "gelu_pytorch_tanh") {
    fail(
        "{}: \"hidden_act\" is \"{}\"; a BERT encoder here has gelu, gelu_new or gelu_pytorch_tanh",
        fields.path(), config.hidden_act);
  }
  const std::string positions = fields.string("position_embedding_type").value_or("absolute");
  if (positions != "absolute") {
    fail("{}: \"position_embedding_type\" is \"{}\"; only \"absolute\" runs here", fields.path(),
         positions);
  }
  if (fields.boolean("is_decoder").value_or(false)) {
    fail("{}: \"is_decoder\" is true; only BERT encoders run here", fields.path());
  }
  config.tie_word_embeddings = fields.boolean("tie_word_embeddings").value_or(true);
}

void check_fit(const Fields& fields, const ModelConfig& config) {
  if (config.num_attention_heads % config.num_key_value_heads != 0) {
    fail("{}: \"num_attention_heads\" {} is no multiple of \"num_key_value_heads\" {}",
         fields.path(), config.num_attention_heads, config.num_key_value_heads);
  }
  if (config.num_attention_heads * config.head_dim > kMaxWidth) {
    fail("{}: {} heads of {} features are wider than {}", fields.path(), config.num_attention_heads,
         config.head_dim, kMaxWidth);
  }
  if (config.family == ModelConfig::Family::kLlama && config.head_dim % 2 != 0) {
    fail("{}: \"head_dim\" is {}; rotary embedding needs an even one", fields.path(),
         config.head_dim);
  }
}

const char* architecture(const ModelConfig& config) {
  if (config.model_type == "mistral") return "MistralForCausalLM";
  if (config.model_type == "qwen2") return "Qwen2ForCausalLM";
  if (config.model_type == "qwen3") return "Qwen3ForCausalLM";
  if (config.model_type == "bloom") return "BloomForCausalLM";
  if (config.model_type == "bert") return "BertModel";
  return "LlamaForCausalLM";
}

void format_llama(const ModelConfig& config, Json& json) {
  json["hidden_size"] = config.hidden_size;
  json["intermediate_size"] = config.intermediate_size;
  json["num_hidden_layers"] = config.num_hidden_layers;
  json["num_attention_heads"] = config.num_attention_heads;
  json["num_key_value_heads"] = config.num_key_value_heads;
  json["head_dim"] = config.head_dim;
  json["hidden_act"] = config.hidden_act;
  json["max_position_embeddings"] = config.max_position_embeddings;
  json["rms_norm_eps"] = config.norm_eps;
  Json rope = format_rope_scaling(config.rope_scaling);
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
    const Json window = config.sliding_window == 0 ? Json(nullptr) : Json(config.sliding_window);
    json["sliding_window"] = window;
  }
  if (is_qwen) {
    json["use_sliding_window"] = config.sliding_window != 0;
    Json types = Json::array();
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

void format_bloom(const ModelConfig& config, Json& json) {
  json["hidden_size"] = config.hidden_size;
  json["n_layer"] = config.num_hidden_layers;
  json["n_head"] = config.num_attention_heads;
  json["seq_length"] = config.max_position_embeddings;
  json["layer_norm_epsilon"] = config.norm_eps;
  json["apply_residual_connection_post_layernorm"] = false;
}

void format_bert(const ModelConfig& config, Json& json) {
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

std::int64_t ModelConfig::window_of_layer(std::int64_t layer) const {
  if (layer_uses_window.empty()) return sliding_window;
  return layer_uses_window.at(static_cast<std::size_t>(layer)) ? sliding_window : 0;
}

ModelConfig parse_model_config(std::string_view text, const std::string& path) {
  const Json json = parse_object(text, path);
  const Fields fields(json, path);

  ModelConfig config;
  const auto model_type = fields.string("model_type");
  if (!model_type) {
    fail("{}: \"model_type\" is missing; it says which kind of model this is, such as \"llama\"",
         path);
  }
  config.model_type = *model_type;
  config.vocab_size = fields.size({"vocab_size"}, kMaxWidth);
  if (config.model_type == "llama" || config.model_type == "mistral" ||
      config.model_type == "qwen2" || config.model_type == "qwen3") {
    parse_llama(fields, config);
  } else if (config.model_type == "bloom") {
    parse_bloom(fields, config);
  } else if (config.model_type == "bert") {
    parse_bert(fields, config);
  } else {
    fail("{}: \"model_type\" is \"{}\"; llama, mistral, qwen2, qwen3, bloom and bert run here",
         path, config.model_type);
  }
  check_fit(fields, config);

  config.torch_dtype = fields.string("dtype").value_or(fields.string("torch_dtype").value_or(""));
  if (config.torch_dtype.starts_with("torch.")) config.torch_dtype.erase(0, 6);
  config.bos_token_id = fields.integer("bos_token_id", 0, kMaxPositions);
  config.eos_token_ids = fields.ids("eos_token_id");
  // Some published files say -1 for "none".
  config.pad_token_id = fields.integer("pad_token_id", -1, kMaxPositions);
  if (config.pad_token_id && *config.pad_token_id < 0) config.pad_token_id.reset();
  return config;
}

std::string format_model_config(const ModelConfig& config) {
  Json json = Json::object();
  json["architectures"] = Json::array({architecture(config)});
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
