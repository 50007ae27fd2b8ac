#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace tigerbot {

/// How rotary angles are stretched past the trained length (`rope_scaling` in config.json).
struct RopeScaling {
  enum class Kind { kNone, kLinear, kDynamic, kYarn, kLlama3 };
  Kind kind = Kind::kNone;
  double factor = 1.0;
  std::int64_t original_max_position_embeddings = 0;
  // YaRN (Peng et al. 2023)
  double beta_fast = 32.0;
  double beta_slow = 1.0;
  std::optional<double> attention_factor;
  std::optional<double> mscale;
  std::optional<double> mscale_all_dim;
  bool truncate = true;
  // Llama 3.1
  double low_freq_factor = 1.0;
  double high_freq_factor = 4.0;
};

/// The shape of a model, with the names that Hugging Face's config.json uses.
struct ModelConfig {
  enum class Family { kLlama, kBloom, kBert };

  Family family = Family::kLlama;
  std::string model_type;  ///< "llama", "mistral", "qwen2", "qwen3", "bloom", "bert"
  std::int64_t vocab_size = 0;
  std::int64_t hidden_size = 0;
  std::int64_t intermediate_size = 0;
  std::int64_t num_hidden_layers = 0;
  std::int64_t num_attention_heads = 0;
  std::int64_t num_key_value_heads = 0;
  std::int64_t head_dim = 0;
  std::int64_t max_position_embeddings = 0;
  double norm_eps = 1e-5;
  std::string hidden_act = "silu";  ///< "silu", "gelu" (exact), "gelu_new"/"gelu_pytorch_tanh"
  bool tie_word_embeddings = false;

  // The Llama family
  double rope_theta = 10000.0;
  RopeScaling rope_scaling;
  std::int64_t sliding_window = 0;  ///< 0: none
  /// Per layer: whether sliding_window applies (Qwen mixes); empty: to all.
  std::vector<bool> layer_uses_window;
  /// The window of one layer; 0: none.
  std::int64_t window_of_layer(std::int64_t layer) const;
  bool attention_bias = false;         ///< biases of q, k and v (Qwen2)
  bool attention_output_bias = false;  ///< bias of the output projection too
  bool mlp_bias = false;
  bool query_key_norm = false;  ///< RMSNorm of each head's query and key (Qwen3)

  // BERT
  std::int64_t type_vocab_size = 0;

  std::string torch_dtype;  ///< as the file says: "bfloat16", "float32", "float16", or empty
  std::optional<std::int64_t> bos_token_id;
  std::vector<std::int64_t> eos_token_ids;
  std::optional<std::int64_t> pad_token_id;
};

/// Reads config.json; an unknown model type, a missing size or sizes that do not fit each other are
/// errors that name `path` and the key.
ModelConfig parse_model_config(std::string_view json, const std::string& path);

/// The config.json that transformers reads back.
std::string format_model_config(const ModelConfig& config);

}  // namespace tigerbot
