#pragma once

#include <ATen/ops/arange.h>
#include <ATen/ops/div.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/full.h>

#include <memory>
#include <string>
#include <vector>

#include "base/hash.h"
#include "base/random.h"
#include "model/decoder.h"
#include "tokenizer/tokenizer.h"

namespace tigerbot {

/// A small random decoder: 97 pieces, two layers, 3 query heads on 1 key/value head.
inline ModelConfig tiny_config() {
  ModelConfig config;
  config.model_type = "llama";
  config.vocab_size = 97;
  config.hidden_size = 48;
  config.intermediate_size = 80;
  config.num_hidden_layers = 2;
  config.num_attention_heads = 3;
  config.num_key_value_heads = 1;
  config.head_dim = 16;
  config.max_position_embeddings = 128;
  config.tie_word_embeddings = true;
  return config;
}

/// The same size in the BLOOM family.
inline ModelConfig tiny_bloom_config() {
  ModelConfig config = tiny_config();
  config.family = ModelConfig::Family::kBloom;
  config.model_type = "bloom";
  config.num_key_value_heads = config.num_attention_heads;
  config.intermediate_size = 4 * config.hidden_size;
  config.hidden_act = "gelu_pytorch_tanh";
  return config;
}

inline std::unique_ptr<Decoder> tiny_decoder(const ModelConfig& config = tiny_config(),
                                             at::ScalarType dtype = at::kFloat) {
  std::uint64_t stream = 0;
  const TensorSource source = [&](const std::string& name, const std::vector<std::int64_t>& shape) {
    at::Tensor tensor = at::empty(shape, at::kFloat);
    const bool is_norm = name.find("norm") != std::string::npos;
    float* values = tensor.data_ptr<float>();
    ++stream;
    for (std::int64_t i = 0; i < tensor.numel(); ++i) {
      const double noise = random_normal({1, stream, static_cast<std::uint64_t>(i)});
      values[i] = static_cast<float>(is_norm ? 1 + 0.1 * noise : 0.3 * noise);
    }
    return tensor;
  };
  return make_decoder(config, source, dtype);
}

/// The same with 4-bit weights, as GPTQ would give them.
inline std::unique_ptr<Decoder> tiny_quantized_decoder() {
  std::unique_ptr<Decoder> decoder = tiny_decoder(tiny_config(), at::kBFloat16);
  std::uint64_t stream = 1000;
  for (Linear* linear : decoder->linears()) {
    ++stream;
    const std::int64_t in = linear->in_features();
    const std::int64_t out = linear->out_features();
    ops::QuantizedParts parts;
    parts.codes = at::empty({out, in}, at::kByte);
    for (std::int64_t i = 0; i < out * in; ++i) {
      parts.codes.data_ptr<std::uint8_t>()[i] =
          static_cast<std::uint8_t>(random_below({1, stream, static_cast<std::uint64_t>(i)}, 16));
    }
    parts.scales = at::full({in / 16, out}, 0.05, at::kHalf);
    parts.zeros = at::full({in / 16, out}, 8, at::kShort);
    parts.group_of = at::arange(in, at::kInt).div(16, "floor").to(at::kInt);
    linear->set_quantized(ops::QuantizedWeight(parts));
  }
  return decoder;
}

/// Piece i is the byte 32 + i; none is special.
class CharacterTokenizer : public Tokenizer {
 public:
  using Tokenizer::encode;
  void encode(std::string_view text, const EncodeOptions&,
              std::vector<TokenId>& ids) const override {
    for (const char c : text) ids.push_back(static_cast<unsigned char>(c) - 32);
  }
  std::string decode(std::span<const TokenId> ids, bool skip_special_tokens) const override {
    std::string text;
    for (const TokenId id : ids) {
      if (!(skip_special_tokens && is_special(id))) text += piece(id);
    }
    return text;
  }
  std::int64_t size() const override { return 97; }
  std::string piece(TokenId id) const override {
    return std::string(1, static_cast<char>(id + 32));
  }
  std::optional<TokenId> id(std::string_view piece) const override {
    if (piece.size() != 1) return std::nullopt;
    return piece.front() - 32;
  }
  bool is_special(TokenId) const override { return false; }
};

}  // namespace tigerbot
