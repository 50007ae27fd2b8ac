#include "weights/gguf_metadata.h"

#include <cmath>

#include "base/error.h"
#include "base/logging.h"

namespace tigerbot {
namespace {

class ConfigWriter {
 public:
  ConfigWriter(GgufWriter& writer, const ModelConfig& config)
      : writer_(writer), config_(config), arch_(architecture(config)) {}

  void write() {
    writer_.add("general.architecture", arch_);
    writer_.add("general.type", "model");
    integer("vocab_size", config_.vocab_size);
    integer("block_count", config_.num_hidden_layers);
    integer("context_length", config_.max_position_embeddings);
    integer("embedding_length", config_.hidden_size);
    integer("feed_forward_length", config_.intermediate_size);
    integer("attention.head_count", config_.num_attention_heads);
    integer("attention.head_count_kv", config_.num_key_value_heads);
    if (config_.family == ModelConfig::Family::kLlama) {
      write_llama();
    } else {
      number("attention.layer_norm_epsilon", config_.norm_eps);
    }
    if (config_.family == ModelConfig::Family::kBert) {
      writer_.add_bool(key("attention.causal"), false);
      integer("pooling_type", 1);
      writer_.add_uint32("tokenizer.ggml.token_type_count", config_.type_vocab_size);
    }
  }

 private:
  static std::string architecture(const ModelConfig& config) {
    return config.model_type == "mistral" ? "llama" : config.model_type;
  }

  std::string key(const char* name) const { return arch_ + "." + name; }
  void integer(const char* name, std::int64_t value) { writer_.add_uint32(key(name), value); }
  void number(const char* name, double value) { writer_.add_float32(key(name), value); }

  void write_llama() {
    number("attention.layer_norm_rms_epsilon", config_.norm_eps);
    integer("attention.key_length", config_.head_dim);
    integer("attention.value_length", config_.head_dim);
    integer("rope.dimension_count", config_.head_dim);
    number("rope.freq_base", config_.rope_theta);
    if (config_.sliding_window > 0) {
      if (!config_.layer_uses_window.empty() && !uniform_window()) {
        log_warning("GGUF has no place for a window on some layers only; it is left out");
      } else {
        integer("attention.sliding_window", config_.sliding_window);
      }
    }
    write_scaling();
  }

  bool uniform_window() const {
    for (const bool uses : config_.layer_uses_window) {
      if (!uses) return false;
    }
    return true;
  }

  // Llama 3's scaling goes into the tensor rope_freqs.weight.
  void write_scaling() {
    const RopeScaling& scaling = config_.rope_scaling;
    if (scaling.kind == RopeScaling::Kind::kLinear) {
      writer_.add(key("rope.scaling.type"), "linear");
      number("rope.scaling.factor", scaling.factor);
    } else if (scaling.kind == RopeScaling::Kind::kYarn) {
      writer_.add(key("rope.scaling.type"), "yarn");
      number("rope.scaling.factor", scaling.factor);
      integer("rope.scaling.original_context_length", scaling.original_max_position_embeddings);
      number("rope.scaling.yarn_beta_fast", scaling.beta_fast);
      number("rope.scaling.yarn_beta_slow", scaling.beta_slow);
      // llama.cpp multiplies by the paper's own factor; config.json's stands instead of it.
      if (scaling.attention_factor) {
        number("rope.scaling.attn_factor",
               *scaling.attention_factor / (0.1 * std::log(scaling.factor) + 1.0));
      }
      if (scaling.mscale || scaling.mscale_all_dim) {
        log_warning("GGUF has no place for YaRN's mscale in a {} model; it is left out", arch_);
      }
    } else if (scaling.kind == RopeScaling::Kind::kDynamic) {
      log_warning("GGUF has no place for dynamic rope scaling; it is left out");
    }
  }

  GgufWriter& writer_;
  const ModelConfig& config_;
  std::string arch_;
};

}  // namespace

void add_gguf_config(GgufWriter& writer, const ModelConfig& config) {
  ConfigWriter(writer, config).write();
}

std::int64_t gguf_file_type(GgmlType type) {
  switch (type) {
    case GgmlType::kF32:
      return 0;
    case GgmlType::kF16:
      return 1;
    case GgmlType::kQ4_0:
      return 2;
    case GgmlType::kQ4_1:
      return 3;
    case GgmlType::kQ8_0:
      return 7;
    case GgmlType::kBF16:
      return 32;
    default:
      fail_internal("{} is not written", ggml_type_info(type).name);
  }
}

}  // namespace tigerbot
