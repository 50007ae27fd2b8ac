#include "weights/gguf_names.h"

#include <span>

namespace tigerbot {
namespace {

// A module of both worlds; '#' stands for the layer's number.
struct Names {
  std::string_view gguf;
  std::string_view hugging_face;
};

constexpr Names kLlama[] = {
    {"token_embd", "model.embed_tokens"},
    {"output_norm", "model.norm"},
    {"output", "lm_head"},
    {"blk.#.attn_norm", "model.layers.#.input_layernorm"},
    {"blk.#.attn_q", "model.layers.#.self_attn.q_proj"},
    {"blk.#.attn_k", "model.layers.#.self_attn.k_proj"},
    {"blk.#.attn_v", "model.layers.#.self_attn.v_proj"},
    {"blk.#.attn_output", "model.layers.#.self_attn.o_proj"},
    {"blk.#.attn_q_norm", "model.layers.#.self_attn.q_norm"},
    {"blk.#.attn_k_norm", "model.layers.#.self_attn.k_norm"},
    {"blk.#.ffn_norm", "model.layers.#.post_attention_layernorm"},
    {"blk.#.ffn_gate", "model.layers.#.mlp.gate_proj"},
    {"blk.#.ffn_up", "model.layers.#.mlp.up_proj"},
    {"blk.#.ffn_down", "model.layers.#.mlp.down_proj"},
};

constexpr Names kBloom[] = {
    {"token_embd", "transformer.word_embeddings"},
    {"token_embd_norm", "transformer.word_embeddings_layernorm"},
    {"output_norm", "transformer.ln_f"},
    {"output", "lm_head"},
    {"blk.#.attn_norm", "transformer.h.#.input_layernorm"},
    {"blk.#.attn_qkv", "transformer.h.#.self_attention.query_key_value"},
    {"blk.#.attn_output", "transformer.h.#.self_attention.dense"},
    {"blk.#.ffn_norm", "transformer.h.#.post_attention_layernorm"},
    {"blk.#.ffn_up", "transformer.h.#.mlp.dense_h_to_4h"},
    {"blk.#.ffn_down", "transformer.h.#.mlp.dense_4h_to_h"},
};

constexpr Names kBert[] = {
    {"token_embd", "embeddings.word_embeddings"},
    {"position_embd", "embeddings.position_embeddings"},
    {"token_types", "embeddings.token_type_embeddings"},
    {"token_embd_norm", "embeddings.LayerNorm"},
    {"blk.#.attn_q", "encoder.layer.#.attention.self.query"},
    {"blk.#.attn_k", "encoder.layer.#.attention.self.key"},
    {"blk.#.attn_v", "encoder.layer.#.attention.self.value"},
    {"blk.#.attn_output", "encoder.layer.#.attention.output.dense"},
    {"blk.#.attn_output_norm", "encoder.layer.#.attention.output.LayerNorm"},
    {"blk.#.ffn_up", "encoder.layer.#.intermediate.dense"},
    {"blk.#.ffn_down", "encoder.layer.#.output.dense"},
    {"blk.#.layer_output_norm", "encoder.layer.#.output.LayerNorm"},
};

std::span<const Names> names_of(const ModelConfig& config) {
  switch (config.family) {
    case ModelConfig::Family::kBloom:
      return kBloom;
    case ModelConfig::Family::kBert:
      return kBert;
    default:
      return kLlama;
  }
}

// Splits "blk.12.attn_q.weight" into "blk.#.attn_q", "12" and ".weight".
struct Parts {
  std::string module;
  std::string layer;
  std::string suffix;
};

Parts split_name(std::string_view name) {
  Parts parts;
  const std::size_t dot = name.rfind('.');
  if (dot == std::string_view::npos) return {std::string(name), "", ""};
  parts.suffix = name.substr(dot);
  std::string_view rest = name.substr(0, dot);
  while (!rest.empty()) {
    const std::size_t end = rest.find('.');
    const std::string_view word = rest.substr(0, end);
    if (!parts.module.empty()) parts.module += '.';
    const bool number =
        !word.empty() && word.find_first_not_of("0123456789") == std::string_view::npos;
    if (number && parts.layer.empty()) {
      parts.layer = word;
      parts.module += '#';
    } else {
      parts.module += word;
    }
    if (end == std::string_view::npos) break;
    rest.remove_prefix(end + 1);
  }
  return parts;
}

std::string join_name(std::string_view pattern, const Parts& parts) {
  std::string name;
  for (const char c : pattern) {
    if (c == '#') {
      name += parts.layer;
    } else {
      name += c;
    }
  }
  return name + parts.suffix;
}

MappedName with_order(std::string name, std::string_view gguf_module, const ModelConfig& config) {
  MappedName mapped{std::move(name)};
  const bool is_arch_llama = config.model_type == "llama" || config.model_type == "mistral";
  if (is_arch_llama && gguf_module == "blk.#.attn_q") {
    mapped.order = RowOrder::kRotaryPairs;
    mapped.heads = config.num_attention_heads;
  } else if (is_arch_llama && gguf_module == "blk.#.attn_k") {
    mapped.order = RowOrder::kRotaryPairs;
    mapped.heads = config.num_key_value_heads;
  } else if (gguf_module == "blk.#.attn_qkv") {
    mapped.order = RowOrder::kFusedByHead;
    mapped.heads = config.num_attention_heads;
  }
  return mapped;
}

bool known_suffix(const Parts& parts) {
  return parts.suffix == ".weight" || parts.suffix == ".bias";
}

}  // namespace

std::optional<MappedName> to_hugging_face_name(std::string_view gguf_name,
                                               const ModelConfig& config) {
  const Parts parts = split_name(gguf_name);
  if (!known_suffix(parts)) return std::nullopt;
  for (const Names& names : names_of(config)) {
    if (names.gguf == parts.module) {
      return with_order(join_name(names.hugging_face, parts), names.gguf, config);
    }
  }
  return std::nullopt;
}

std::optional<MappedName> to_gguf_name(std::string_view hugging_face_name,
                                       const ModelConfig& config) {
  const Parts parts = split_name(hugging_face_name);
  if (!known_suffix(parts)) return std::nullopt;
  for (const Names& names : names_of(config)) {
    if (names.hugging_face == parts.module) {
      return with_order(join_name(names.gguf, parts), names.gguf, config);
    }
  }
  return std::nullopt;
}

std::int64_t gguf_row(RowOrder order, std::int64_t heads, std::int64_t rows, std::int64_t row) {
  switch (order) {
    case RowOrder::kRotaryPairs: {
      const std::int64_t head_dim = rows / heads;
      const std::int64_t in_head = row % head_dim;
      const std::int64_t half = head_dim / 2;
      return row - in_head + in_head % half * 2 + in_head / half;
    }
    case RowOrder::kFusedByHead: {
      const std::int64_t head_dim = rows / (3 * heads);
      const std::int64_t head = row / (3 * head_dim);
      const std::int64_t part = row / head_dim % 3;
      return (part * heads + head) * head_dim + row % head_dim;
    }
    default:
      return row;
  }
}

std::int64_t hugging_face_row(RowOrder order, std::int64_t heads, std::int64_t rows,
                              std::int64_t row) {
  switch (order) {
    case RowOrder::kRotaryPairs: {
      const std::int64_t head_dim = rows / heads;
      const std::int64_t in_head = row % head_dim;
      return row - in_head + in_head % 2 * (head_dim / 2) + in_head / 2;
    }
    case RowOrder::kFusedByHead: {
      const std::int64_t head_dim = rows / (3 * heads);
      const std::int64_t part = row / (heads * head_dim);
      const std::int64_t head = row / head_dim % heads;
      return (head * 3 + part) * head_dim + row % head_dim;
    }
    default:
      return row;
  }
}

}  // namespace tigerbot
