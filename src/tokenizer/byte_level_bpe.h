#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "tokenizer/added_tokens.h"
#include "tokenizer/tokenizer.h"

namespace tigerbot {

/// Everything that makes a byte-level BPE tokenizer (GPT-2 and its descendants), from any format.
struct ByteLevelBpeParts {
  /// Index is the id; spelled in the byte-level alphabet ("Ġthe"), empty where an id has no piece.
  std::vector<std::string> pieces;
  /// In rank order, "left right" with one space between, spelled as the pieces.
  std::vector<std::string> merges;
  /// A word that is a piece is that piece, whatever its merges say (Llama-3).
  bool ignore_merges = false;
  std::vector<AddedToken> added_tokens;
  /// The nodes of tokenizer.json, as JSON text; "null" where there is none.
  std::string normalizer = "null";
  /// Must end in ByteLevel, for example
  /// {"type":"ByteLevel","add_prefix_space":false,"trim_offsets":true,"use_regex":true}
  std::string pre_tokenizer = "null";
  std::string post_processor = "null";
};

/// The tokenizer of these parts, with the byte-level decoder; `path` names the file in errors.
/// bos_id, eos_id, pad_id and unk_id are left for the caller to set.
std::unique_ptr<Tokenizer> make_byte_level_tokenizer(ByteLevelBpeParts parts,
                                                     const std::string& path);

}  // namespace tigerbot
