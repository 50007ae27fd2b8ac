#pragma once

#include <cstdint>
#include <cstring>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/files.h"
#include "base/random.h"

namespace tigerbot::serve {

/// A chat template that writes each message as "role: content" in brackets, and the tools before.
inline constexpr const char* kTestTemplate =
    "{% if tools %}{{ tools | tojson }}{% endif %}{% for m in messages %}[{{ m['role'] }}: "
    "{{ m['content'] }}{% for c in m.get('tool_calls', []) %}<tool_call>{{ c['function'] | tojson "
    "}}"
    "</tool_call>{% endfor %}]{% endfor %}{% if add_generation_prompt %}[assistant: {% endif %}";

/// Writes a Hugging Face directory with a small random Llama and a tokenizer of ASCII bytes, whose
/// last piece, "<end>", ends an answer.
inline void write_random_model(const std::filesystem::path& folder, std::uint64_t seed = 1,
                               int context = 512,
                               const std::string& chat_template = kTestTemplate) {
  using Json = nlohmann::ordered_json;
  constexpr int kVocabulary = 96, kWidth = 32, kHeads = 2, kInner = 64, kLayers = 2;
  std::filesystem::create_directories(folder);
  const Json config = {{"model_type", "llama"},        {"vocab_size", kVocabulary},
                       {"hidden_size", kWidth},        {"intermediate_size", kInner},
                       {"num_hidden_layers", kLayers}, {"num_attention_heads", kHeads},
                       {"num_key_value_heads", 1},     {"hidden_act", "silu"},
                       {"rms_norm_eps", 1e-5},         {"max_position_embeddings", context},
                       {"tie_word_embeddings", true},  {"eos_token_id", 95}};
  write_file(folder / "config.json", config.dump());

  Json header = Json::object();
  std::string data;
  std::uint64_t stream = 0;
  const auto add = [&](const std::string& name, std::vector<int> shape, bool norm = false) {
    std::size_t count = 1;
    for (const int dimension : shape) count *= static_cast<std::size_t>(dimension);
    const std::size_t begin = data.size();
    ++stream;
    for (std::size_t i = 0; i < count; ++i) {
      const double noise = random_normal({seed, stream, i});
      const auto value = static_cast<float>(norm ? 1 + 0.1 * noise : 0.4 * noise);
      char bytes[sizeof(value)];
      std::memcpy(bytes, &value, sizeof(value));
      data.append(bytes, sizeof(value));
    }
    header[name] = {{"dtype", "F32"}, {"shape", shape}, {"data_offsets", {begin, data.size()}}};
  };
  add("model.embed_tokens.weight", {kVocabulary, kWidth});
  add("model.norm.weight", {kWidth}, true);
  for (int i = 0; i < kLayers; ++i) {
    const std::string layer = "model.layers." + std::to_string(i) + ".";
    add(layer + "input_layernorm.weight", {kWidth}, true);
    add(layer + "post_attention_layernorm.weight", {kWidth}, true);
    add(layer + "self_attn.q_proj.weight", {kWidth, kWidth});
    add(layer + "self_attn.k_proj.weight", {kWidth / kHeads, kWidth});
    add(layer + "self_attn.v_proj.weight", {kWidth / kHeads, kWidth});
    add(layer + "self_attn.o_proj.weight", {kWidth, kWidth});
    add(layer + "mlp.gate_proj.weight", {kInner, kWidth});
    add(layer + "mlp.up_proj.weight", {kInner, kWidth});
    add(layer + "mlp.down_proj.weight", {kWidth, kInner});
  }
  std::string head = header.dump();
  head.resize((head.size() + 7) / 8 * 8, ' ');
  std::string file(sizeof(std::uint64_t), '\0');
  for (int i = 0; i < 8; ++i) file[i] = static_cast<char>(head.size() >> (8 * i));
  write_file(folder / "model.safetensors", file + head + data);

  Json vocabulary = Json::object();
  for (char c = '!'; c <= '~'; ++c) vocabulary[std::string(1, c)] = vocabulary.size();
  vocabulary["\u0120"] = vocabulary.size();  // a space
  const Json byte_level = {{"type", "ByteLevel"}, {"add_prefix_space", false}};
  const Json end = {{"id", 95},        {"content", "<end>"}, {"single_word", false},
                    {"lstrip", false}, {"rstrip", false},    {"normalized", false},
                    {"special", true}};
  const Json tokenizer = {
      {"added_tokens", {end}},
      {"pre_tokenizer", byte_level},
      {"decoder", byte_level},
      {"model", {{"type", "BPE"}, {"vocab", vocabulary}, {"merges", Json::array()}}}};
  write_file(folder / "tokenizer.json", tokenizer.dump());
  write_file(folder / "tokenizer_config.json",
             Json{{"chat_template", chat_template}, {"eos_token", "<end>"}}.dump());
}

}  // namespace tigerbot::serve
