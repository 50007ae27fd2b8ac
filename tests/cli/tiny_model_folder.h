#pragma once

#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>

#include "cli/program.h"

namespace tigerbot {

/// Writes a Hugging Face directory with a Llama of one layer, all zeros, and a tokenizer of ASCII
/// bytes: enough to try what goes wrong around a model.
inline void write_tiny_model(const std::string& folder, const std::string& chat_template) {
  using Json = nlohmann::ordered_json;
  constexpr int kVocabulary = 96, kWidth = 8;
  std::filesystem::create_directories(folder);
  const Json config = {
      {"model_type", "llama"},           {"vocab_size", kVocabulary},  {"hidden_size", kWidth},
      {"intermediate_size", 2 * kWidth}, {"num_hidden_layers", 1},     {"num_attention_heads", 2},
      {"num_key_value_heads", 2},        {"hidden_act", "silu"},       {"rms_norm_eps", 1e-5},
      {"max_position_embeddings", 64},   {"tie_word_embeddings", true}};
  write_all(folder + "/config.json", config.dump());

  Json header = Json::object();
  std::uint64_t bytes = 0;
  const auto add = [&](const std::string& name, std::vector<int> shape) {
    std::uint64_t size = sizeof(float);
    for (const int dimension : shape) size *= static_cast<std::uint64_t>(dimension);
    header[name] = {{"dtype", "F32"}, {"shape", shape}, {"data_offsets", {bytes, bytes + size}}};
    bytes += size;
  };
  add("model.embed_tokens.weight", {kVocabulary, kWidth});
  add("model.norm.weight", {kWidth});
  const std::string layer = "model.layers.0.";
  for (const char* norm : {"input_layernorm", "post_attention_layernorm"}) {
    add(layer + norm + ".weight", {kWidth});
  }
  for (const char* name : {"q_proj", "k_proj", "v_proj", "o_proj"}) {
    add(layer + "self_attn." + name + ".weight", {kWidth, kWidth});
  }
  add(layer + "mlp.gate_proj.weight", {2 * kWidth, kWidth});
  add(layer + "mlp.up_proj.weight", {2 * kWidth, kWidth});
  add(layer + "mlp.down_proj.weight", {kWidth, 2 * kWidth});
  std::string head = header.dump();
  head.resize((head.size() + 7) / 8 * 8, ' ');
  std::string file(sizeof(std::uint64_t), '\0');
  for (int i = 0; i < 8; ++i) file[i] = static_cast<char>(head.size() >> (8 * i));
  write_all(folder + "/model.safetensors", file + head + std::string(bytes, '\0'));

  Json vocabulary = Json::object();
  for (char c = '!'; c <= '~'; ++c) vocabulary[std::string(1, c)] = vocabulary.size();
  vocabulary["\u0120"] = vocabulary.size();  // a space
  const Json byte_level = {{"type", "ByteLevel"}, {"add_prefix_space", false}};
  const Json tokenizer = {
      {"added_tokens", Json::array()},
      {"pre_tokenizer", byte_level},
      {"decoder", byte_level},
      {"model", {{"type", "BPE"}, {"vocab", vocabulary}, {"merges", Json::array()}}}};
  write_all(folder + "/tokenizer.json", tokenizer.dump());
  write_all(folder + "/tokenizer_config.json", Json{{"chat_template", chat_template}}.dump());
}

}  // namespace tigerbot
