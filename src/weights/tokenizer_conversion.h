#pragma once

#include <filesystem>
#include <string>

#include "base/json.h"
#include "model/config.h"
#include "tokenizer/tokenizer.h"
#include "weights/gguf_writer.h"
#include "weights/model_files.h"

namespace tigerbot {

/// The tokenizer.json (as the tokenizers library reads it) of a GGUF tokenizer: byte-level BPE
/// ("gpt2"), SentencePiece BPE ("llama") or WordPiece ("bert"). `path` names the file in errors.
Json tokenizer_json_from_gguf(const GgufTokenizer& gguf, const std::string& path);

/// The tokenizer_config.json of a GGUF file: roles and chat template.
Json gguf_tokenizer_config(const ModelFiles& files, const GgufTokenizer& tokenizer);

/// GGUF's description of the tokenizer in a Hugging Face directory, padded with unused pieces to
/// the model's vocabulary.
GgufTokenizer gguf_tokenizer_from_folder(const std::filesystem::path& folder,
                                         const ModelConfig& config);

/// Writes it as tokenizer.ggml.*.
void add_gguf_tokenizer(GgufWriter& writer, const GgufTokenizer& tokenizer);

}  // namespace tigerbot
