#pragma once

#include <string>
#include <string_view>

namespace tigerbot {

/// How a byte-level model splits text, as GGUF names it in `tokenizer.ggml.pre`, in the terms of
/// the model's own tokenizer.json (JSON text).
struct GgufPreTokenizer {
  std::string normalizer;
  std::string pre_tokenizer;
  bool ignore_merges = false;
  bool add_bos = false;  ///< where the file does not say
};

/// Throws if the name is not known here: a guess would give other ids. `path` names the file.
GgufPreTokenizer gguf_pre_tokenizer(std::string_view name, const std::string& path);

}  // namespace tigerbot
