#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <string>

#include "base/json.h"
#include "tokenizer/sentencepiece_model.h"

namespace tigerbot {

/// The files of a tokenizer, wherever they come from.
struct TokenizerFiles {
  std::filesystem::path path;  ///< that the user named, for messages
  std::string tokenizer_json;  ///< its text; empty where there is none
  std::string sentencepiece;   ///< the bytes of tokenizer.model; empty where there is none
  std::map<std::string, std::string> companions;  ///< tokenizer_config.json and so on, by name
};

/// Reads a tokenizer: a Hugging Face directory (config.json and weights need not be there), a
/// tokenizer.json or .model file, a .gguf file, or a model's name that `pull` knows. GGUF's
/// metadata are turned into tokenizer.json and tokenizer_config.json.
TokenizerFiles read_tokenizer_files(const std::string& path_or_name);

/// The tokenizer.json that gives the same ids as a SentencePiece model; nothing where the
/// tokenizers library has no exact form for it: a normalization rule, removed extra spaces, or no
/// byte pieces.
std::optional<nlohmann::json> tokenizer_json_from_sentencepiece(const SentencePieceModel& model,
                                                                bool add_bos, bool add_eos,
                                                                const std::string& path);

}  // namespace tigerbot
