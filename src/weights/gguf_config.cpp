#include "weights/gguf_config.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <numbers>
#include <set>

#include "base/error.h"
#include "base/json.h"
#include "base/text.h"

namespace tigerbot {
namespace {

class ConfigReader {
 public:
  explicit ConfigReader(const GgufFile& file)
      : file_(file), header_(file.header), arch_(header_.get_string("general.architecture")) {}

  Json read() {
    if (arch_ == "llama") {
      const auto window = header_.find_integer(key("attention.sliding_window")).value_or(0);
      read_llama(window > 0 ? "mistral" : "llama");
    } else if (arch_ == "qwen2" || arch_ == "qwen3") {
      read_llama(arch_);
    } else if (arch_ == "bloom") {
      read_bloom();
    } else if (arch_ == "bert") {
      read_bert();
    } else {
      fail("{}: the architecture is {}; llama, qwen2, qwen3, bloom and bert run here", header_.path,
           quote(arch_));
    }
    read_tokens();
    return std::move(json_);
  }

 private:
  std::string key(const char* name) const { return arch_ + "." + name; }
  std::int64_t integer(const char* name) const { return header_.get_integer(key(name)); }

  // Newer converters write a list of one value a layer where layers differ.
  std::int64_t integer_of_all_layers(const char* name) const {
    const auto found = header_.metadata.find(key(name));
    if (found == header_.metadata.end() || found->second.type != GgufValueType::kArray) {
      return integer(name);
    }
    const GgufArray& values = *header_.find_array(key(name));
    if (values.type == GgufValueType::kString || values.type == GgufValueType::kArray ||
        values.size == 0) {
      fail("{}: the metadata value {} is no list of numbers", header_.path, key(name));
    }
    for (std::uint64_t i = 1; i < values.size; ++i) {
      if (values.number(i) != values.number(0)) {
        fail("{}: {} differs from layer to layer, which no model here has", header_.path,
             key(name));
      }
    }
    return static_cast<std::int64_t>(values.number(0));
  }

  // A float32 printed and read as the decimal number that was meant: 1e-05, not 9.99999974e-06.
  static double decimal(double value) {
    return std::strtod(fmt::format("{}", static_cast<float>(value)).c_str(), nullptr);
  }

  std::int64_t rows_of(std::string_view tensor) const {
    const auto* info = header_.find_tensor(tensor);
    if (!info || info->shape.size() != 2) {
      fail("{}: the matrix {} is missing; the file holds no whole model", header_.path, tensor);
    }
    return info->shape[0];
  }

  void read_sizes(const std::string& model_type) {
    json_["model_type"] = model_type;
    json_["vocab_size"] = rows_of("token_embd.weight");
    json_["hidden_size"] = integer("embedding_length");
    json_["num_hidden_layers"] = integer("block_count");
    json_["num_attention_heads"] = integer_of_all_layers("attention.head_count");
    json_["tie_word_embeddings"] = header_.find_tensor("output.weight") == nullptr;
    json_["torch_dtype"] = stored_type();
  }

  std::string stored_type() const {
    const auto* embedding = header_.find_tensor("token_embd.weight");
    if (embedding->type->type == GgmlType::kF32) return "float32";
    if (embedding->type->type == GgmlType::kF16) return "float16";
    return "bfloat16";
  }

  void read_llama(const std::string& model_type) {
    read_sizes(model_type);
    if (header_.find_integer(key("expert_count")).value_or(0) > 0) {
      fail("{}: a mixture of experts, which does not run here", header_.path);
    }
    json_["intermediate_size"] = integer_of_all_layers("feed_forward_length");
    json_["num_key_value_heads"] = header_.has(key("attention.head_count_kv"))
                                       ? integer_of_all_layers("attention.head_count_kv")
                                       : json_["num_attention_heads"].get<std::int64_t>();
    json_["max_position_embeddings"] = integer("context_length");
    json_["rms_norm_eps"] = decimal(header_.get_number(key("attention.layer_norm_rms_epsilon")));
    if (const auto length = header_.find_integer(key("attention.key_length"))) {
      if (header_.find_integer(key("attention.value_length")).value_or(*length) != *length) {
        fail("{}: keys and values of different widths do not run here", header_.path);
      }
      json_["head_dim"] = *length;
    }
    const std::int64_t heads = std::max<std::int64_t>(1, json_["num_attention_heads"]);
    const std::int64_t head_dim = json_.contains("head_dim")
                                      ? json_["head_dim"].get<std::int64_t>()
                                      : json_["hidden_size"].get<std::int64_t>() / heads;
    if (header_.find_integer(key("rope.dimension_count")).value_or(head_dim) != head_dim) {
      fail("{}: rotary embedding of a part of each head does not run here", header_.path);
    }
    json_["head_dim"] = head_dim;
    json_["rope_theta"] = decimal(header_.find_number(key("rope.freq_base")).value_or(10000.0));
    read_rope_scaling(head_dim);
    const auto has = [&](const char* tensor) { return header_.find_tensor(tensor) != nullptr; };
    if (model_type == "llama" || model_type == "qwen3") {
      json_["attention_bias"] = has("blk.0.attn_q.bias");
    }
    if (model_type == "llama") json_["mlp_bias"] = has("blk.0.ffn_gate.bias");
    if (const auto window = header_.find_integer(key("attention.sliding_window"));
        window && *window > 0) {
      json_["sliding_window"] = *window;
      json_["use_sliding_window"] = true;
      json_["max_window_layers"] = 0;
    } else if (model_type == "mistral") {
      json_["sliding_window"] = nullptr;
    }
  }

  void read_rope_scaling(std::int64_t head_dim) {
    if (const auto* factors = header_.find_tensor("rope_freqs.weight")) {
      json_["rope_scaling"] = llama3_scaling(*factors, head_dim);
      return;
    }
    const auto kind = header_.find_string(key("rope.scaling.type"));
    auto factor = header_.find_number(key("rope.scaling.factor"));
    if (!factor && !kind) factor = header_.find_number(key("rope.scale_linear"));
    if ((kind && *kind == "none") || !factor || *factor == 1.0 || *factor == 0.0) return;
    Json scaling = {{"factor", decimal(*factor)}};
    if (!kind || *kind == "linear") {
      scaling["rope_type"] = "linear";
    } else if (*kind == "yarn") {
      scaling["rope_type"] = "yarn";
      scaling["original_max_position_embeddings"] = integer("rope.scaling.original_context_length");
      if (const auto fast = header_.find_number(key("rope.scaling.yarn_beta_fast"))) {
        scaling["beta_fast"] = decimal(*fast);
      }
      if (const auto slow = header_.find_number(key("rope.scaling.yarn_beta_slow"))) {
        scaling["beta_slow"] = decimal(*slow);
      }
      // llama.cpp multiplies by the paper's own factor; config.json's stands instead of it.
      if (const auto extra = header_.find_number(key("rope.scaling.attn_factor"))) {
        scaling["attention_factor"] = decimal(*extra * (0.1 * std::log(*factor) + 1.0));
      }
    } else {
      fail("{}: rope scaling of type {}; none, linear, yarn and llama3 are known here",
           header_.path, quote(*kind));
    }
    json_["rope_scaling"] = scaling;
  }

  // GGUF keeps Llama 3's scaling as one factor for each frequency. The largest is the scaling's
  // factor. Between the two wavelengths 1 / factor is linear in the frequency, which gives the two
  // bounds; they count positions, so one of the three numbers that config.json has is free, and we
  // take low_freq_factor 1 as Meta does.
  Json llama3_scaling(const GgufTensorInfo& tensor, std::int64_t head_dim) const {
    const std::int64_t count = element_count(tensor.shape);
    if (tensor.type->type != GgmlType::kF32 || count != head_dim / 2) {
      fail("{}: rope_freqs.weight must hold {} F32 values", header_.path, head_dim / 2);
    }
    std::vector<float> factors(static_cast<std::size_t>(count));
    std::memcpy(factors.data(), file_.map.data() + tensor.begin, factors.size() * sizeof(float));
    ModelConfig config;
    config.head_dim = head_dim;
    config.rope_theta = json_["rope_theta"];
    RopeScaling& scaling = config.rope_scaling;
    scaling.kind = RopeScaling::Kind::kLlama3;
    scaling.factor = *std::ranges::max_element(factors);

    std::vector<std::pair<double, double>> between;  // 1 / wavelength, smooth
    for (std::int64_t i = 0; i < count; ++i) {
      const double factor = factors[static_cast<std::size_t>(i)];
      if (!(factor >= 1.0 && factor <= 1e6)) {
        fail("{}: rope_freqs.weight holds {}, which is no factor of a scaling", header_.path,
             factor);
      }
      if (factor <= 1.0 + 1e-4 || factor >= scaling.factor * (1 - 1e-4)) continue;
      const double frequency = std::pow(config.rope_theta, -2.0 * static_cast<double>(i) /
                                                               static_cast<double>(head_dim)) /
                               (2 * std::numbers::pi);
      between.emplace_back(frequency, (1 / factor - 1 / scaling.factor) / (1 - 1 / scaling.factor));
    }
    if (scaling.factor <= 1.0) return nullptr;
    scaling.low_freq_factor = 1.0;
    scaling.high_freq_factor = 4.0;
    scaling.original_max_position_embeddings = 8192;
    if (between.size() >= 2) {
      const auto [x0, y0] = between.front();
      const auto [x1, y1] = between.back();
      const double slope = (y0 - y1) / (x0 - x1);  // original / (high - low)
      const double offset = slope * x0 - y0;       // low / (high - low)
      scaling.high_freq_factor = decimal(std::round((1.0 + 1.0 / offset) * 1e3) / 1e3);
      scaling.original_max_position_embeddings =
          std::llround(slope * (scaling.high_freq_factor - 1.0));
    } else if (between.size() == 1) {  // one equation: Meta's 4 for the other
      const auto [x, y] = between.front();
      scaling.original_max_position_embeddings = std::llround((3.0 * y + 1.0) / x);
    }
    const std::vector<float> again = llama3_frequency_factors(config);
    for (std::size_t i = 0; i < factors.size(); ++i) {
      if (!(std::abs(again[i] - factors[i]) <= 1e-3f * factors[i])) {
        fail("{}: rope_freqs.weight follows no Llama 3 scaling; this variant is not known here",
             header_.path);
      }
    }
    return {{"rope_type", "llama3"},
            {"factor", scaling.factor},
            {"low_freq_factor", scaling.low_freq_factor},
            {"high_freq_factor", scaling.high_freq_factor},
            {"original_max_position_embeddings", scaling.original_max_position_embeddings}};
  }

  void read_bloom() {
    read_sizes("bloom");
    json_["seq_length"] = integer("context_length");
    json_["layer_norm_epsilon"] = decimal(header_.get_number(key("attention.layer_norm_epsilon")));
  }

  void read_bert() {
    read_sizes("bert");
    json_["tie_word_embeddings"] = true;
    json_["intermediate_size"] = integer("feed_forward_length");
    json_["max_position_embeddings"] = rows_of("position_embd.weight");
    json_["type_vocab_size"] = rows_of("token_types.weight");
    json_["layer_norm_eps"] = decimal(header_.get_number(key("attention.layer_norm_epsilon")));
  }

  void read_tokens() {
    if (const auto id = header_.find_integer("tokenizer.ggml.bos_token_id")) {
      json_["bos_token_id"] = *id;
    }
    if (const auto id = header_.find_integer("tokenizer.ggml.padding_token_id")) {
      json_["pad_token_id"] = *id;
    }
    // Chat models may end a turn and a text with different tokens.
    std::vector<std::int64_t> ends;
    for (const char* name : {"eos", "eot", "eom"}) {
      const auto id = header_.find_integer(fmt::format("tokenizer.ggml.{}_token_id", name));
      if (id && std::ranges::find(ends, *id) == ends.end()) ends.push_back(*id);
    }
    if (ends.size() == 1) {
      json_["eos_token_id"] = ends.front();
    } else if (!ends.empty()) {
      json_["eos_token_id"] = ends;
    }
  }

  const GgufFile& file_;
  const GgufHeader& header_;
  std::string arch_;
  Json json_ = Json::object();
};

}  // namespace

ModelConfig read_gguf_config(const GgufFile& file) {
  return parse_model_config(ConfigReader(file).read().dump(), file.header.path);
}

std::vector<float> llama3_frequency_factors(const ModelConfig& config) {
  const RopeScaling& scaling = config.rope_scaling;
  const auto original = static_cast<double>(scaling.original_max_position_embeddings);
  const double longest = original / scaling.low_freq_factor;
  const double shortest = original / scaling.high_freq_factor;
  std::vector<float> factors;
  for (std::int64_t i = 0; i < config.head_dim; i += 2) {
    const double wavelength =
        2 * std::numbers::pi *
        std::pow(config.rope_theta, static_cast<double>(i) / static_cast<double>(config.head_dim));
    if (wavelength < shortest) {
      factors.push_back(1.0f);
    } else if (wavelength > longest) {
      factors.push_back(static_cast<float>(scaling.factor));
    } else {
      const double smooth = (original / wavelength - scaling.low_freq_factor) /
                            (scaling.high_freq_factor - scaling.low_freq_factor);
      factors.push_back(static_cast<float>(1 / ((1 - smooth) / scaling.factor + smooth)));
    }
  }
  return factors;
}

}  // namespace tigerbot
