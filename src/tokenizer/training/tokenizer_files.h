#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "tokenizer/training/byte_level_trainer.h"

namespace tigerbot {

/// Roles and template of a new tokenizer. Role tokens that are empty do not exist.
struct TokenizerRoles {
  std::vector<std::string> special_tokens;  ///< all of them, in the order of their ids
  std::string bos_token, eos_token, pad_token, unk_token;
  bool add_bos = false, add_eos = false;
  std::string chat_template;  ///< Jinja; empty: none
};

/// The names that pre-tokenizers have in the field (llama.cpp's): "gpt-2", "smollm", "llama-bpe",
/// "qwen2", ... for messages and --help.
const std::vector<std::string>& pre_tokenizer_names();

/// tokenizer.json of a byte-level BPE. `pre_tokenizer` is one of pre_tokenizer_names().
nlohmann::ordered_json byte_level_tokenizer_json(const TrainedBpe& bpe, const TokenizerRoles& roles,
                                                 const std::string& pre_tokenizer);

/// tokenizer_config.json and special_tokens_map.json, as transformers reads them.
nlohmann::ordered_json tokenizer_config_json(const TokenizerRoles& roles,
                                             const std::string& tokenizer_class);
nlohmann::ordered_json special_tokens_map_json(const TokenizerRoles& roles);

/// An Error where special tokens contradict each other: one twice, an empty one, or a role that is
/// not among them.
void check_roles(const TokenizerRoles& roles);

/// Parts of tokenizer.json that several writers share.
nlohmann::ordered_json added_token_json(std::size_t id, const std::string& content, bool special);
nlohmann::ordered_json template_processing_json(const TokenizerRoles& roles,
                                                const std::vector<std::string>& pieces);

}  // namespace tigerbot
