#pragma once

#include <ATen/ops/empty.h>

#include <filesystem>
#include <string>
#include <vector>

#include "base/files.h"
#include "base/json.h"
#include "base/random.h"
#include "quant/layered_model.h"
#include "weights/safetensors.h"

namespace tigerbot::quant {

/// A Llama of two layers whose widths 32 divides, or a BLOOM or BERT of as many.
inline ModelConfig tiny_config(ModelConfig::Family family) {
  ModelConfig config;
  config.family = family;
  config.model_type = family == ModelConfig::Family::kBloom ? "bloom" : "llama";
  config.vocab_size = 96;
  config.hidden_size = 64;
  config.intermediate_size = family == ModelConfig::Family::kBloom ? 256 : 96;
  config.num_hidden_layers = 2;
  config.num_attention_heads = 4;
  config.num_key_value_heads = family == ModelConfig::Family::kBloom ? 4 : 2;
  config.head_dim = 16;
  config.max_position_embeddings = 128;
  config.hidden_act = family == ModelConfig::Family::kBloom ? "gelu_pytorch_tanh" : "silu";
  config.tie_word_embeddings = true;
  config.torch_dtype = "float32";
  if (family != ModelConfig::Family::kBert) return config;
  config.model_type = "bert";
  config.vocab_size = 128;
  config.num_key_value_heads = 4;
  config.hidden_act = "gelu";
  config.tie_word_embeddings = false;
  config.type_vocab_size = 2;
  return config;
}

/// Writes that model with random float32 weights and a tokenizer of ASCII bytes.
inline void write_tiny_model(const std::filesystem::path& folder,
                             ModelConfig::Family family = ModelConfig::Family::kLlama) {
  create_folders(folder);
  const ModelConfig config = tiny_config(family);
  write_file(folder / "config.json", format_model_config(config));
  std::vector<TensorToWrite> tensors;
  std::uint64_t stream = 0;
  for (const Parameter& parameter : make_empty_model(config)->parameters()) {
    at::Tensor tensor = at::empty(parameter.shape, at::kFloat);
    auto* values = tensor.mutable_data_ptr<float>();
    const bool is_norm = parameter.shape.size() == 1 && parameter.name.ends_with("weight");
    ++stream;
    for (std::int64_t i = 0; i < tensor.numel(); ++i) {
      const double noise = random_normal({1, stream, static_cast<std::uint64_t>(i)});
      values[i] = static_cast<float>(is_norm ? 1 + 0.1 * noise : 0.15 * noise);
    }
    tensors.push_back({parameter.name, parameter.shape, at::kFloat, [tensor] { return tensor; }});
  }
  write_safetensors(folder / "model.safetensors", tensors);

  Json vocabulary = Json::object();
  for (char c = '!'; c <= '~'; ++c) vocabulary[std::string(1, c)] = c - '!';
  vocabulary["\u0120"] = '~' - '!' + 1;  // a space
  const Json byte_level = {{"type", "ByteLevel"}, {"add_prefix_space", false}};
  Json tokenizer = {{"added_tokens", Json::array()},
                    {"pre_tokenizer", byte_level},
                    {"decoder", byte_level},
                    {"model", {{"type", "BPE"}, {"vocab", vocabulary}, {"merges", Json::array()}}}};
  if (family == ModelConfig::Family::kBert) {
    const auto mark = [&](const char* text, int id) {
      tokenizer["added_tokens"].push_back({{"id", id}, {"content", text}, {"special", true}});
      tokenizer["post_processor"]["special_tokens"][text] = {
          {"id", text}, {"ids", {id}}, {"tokens", {text}}};
      return Json{{"SpecialToken", {{"id", text}, {"type_id", 0}}}};
    };
    tokenizer["post_processor"]["type"] = "TemplateProcessing";
    const Json text = {{"Sequence", {{"id", "A"}, {"type_id", 0}}}};
    tokenizer["post_processor"]["single"] = {mark("[CLS]", 95), text, mark("[SEP]", 96)};
    tokenizer["post_processor"]["pair"] = Json::array();
  }
  write_file(folder / "tokenizer.json", tokenizer.dump());
}

/// Text of printable characters, a paragraph every few hundred.
inline void write_text(const std::filesystem::path& file, std::int64_t paragraphs) {
  std::string text;
  for (std::int64_t i = 0; i < paragraphs * 400; ++i) {
    const auto draw = random_uint64({7, 1, static_cast<std::uint64_t>(i)});
    text += i % 400 == 399 ? "\n\n" : std::string(1, static_cast<char>('!' + draw % 90));
  }
  write_file(file, text);
}

}  // namespace tigerbot::quant
