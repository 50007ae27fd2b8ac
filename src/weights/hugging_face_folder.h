#pragma once

#include <filesystem>
#include <string>

#include "base/json.h"
#include "weights/model_files.h"

namespace tigerbot {

/// Opens a directory with config.json and safetensors.
ModelFiles open_hugging_face_folder(const std::filesystem::path& folder);

/// Reads tokenizer.json, else tokenizer.model, else vocab.txt, and gives the roles (beginning and
/// end of sequence, padding, unknown) that tokenizer_config.json or special_tokens_map.json names.
std::unique_ptr<Tokenizer> load_folder_tokenizer(const std::filesystem::path& folder,
                                                 const ModelConfig& config);

/// tokenizer_config.json, or an empty object where there is none.
Json read_tokenizer_config(const std::filesystem::path& folder);

/// The text of a special token such as "bos_token", which the files write as a string or as an
/// object with "content"; empty where the model has none.
std::string special_token_text(const std::filesystem::path& folder, const Json& tokenizer_config,
                               const std::string& role);

/// The chat template of a directory: chat_template.jinja, chat_template.json, or the "default" one
/// of tokenizer_config.json; empty where there is none.
std::string read_chat_template(const std::filesystem::path& folder, const Json& tokenizer_config);

}  // namespace tigerbot
