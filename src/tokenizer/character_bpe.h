#pragma once

#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tokenizer/tokenizer.h"

namespace tigerbot {

/// Character-level BPE as tokenizer.json stores it for the Llama-2 and Mistral family: symbols
/// begin as characters (not as mapped bytes), the pair of lowest rank merges first, leftmost first
/// among equals; a character that is no piece becomes its bytes ("<0xE4>") or the unknown piece.
class CharacterBpe {
 public:
  struct Options {
    std::vector<std::string> vocabulary;  ///< index is the id; empty where an id has no piece
    std::vector<std::pair<std::string, std::string>> merges;  ///< in rank order
    std::optional<std::string> unk_token;
    std::string continuing_subword_prefix;
    std::string end_of_word_suffix;
    bool fuse_unk = false;
    bool byte_fallback = false;
    bool ignore_merges = false;
  };
  /// `where` names the file and the node in errors.
  CharacterBpe(Options options, const std::string& where);
  ~CharacterBpe();

  /// The `model` node of tokenizer.json with "type": "BPE".
  static std::unique_ptr<CharacterBpe> from_json(const nlohmann::json& model,
                                                 const std::string& where);

  /// Appends the ids of one pre-token (valid UTF-8), which may be a whole document: time grows as
  /// n log n at worst.
  void encode(std::string_view word, std::vector<TokenId>& ids) const;

  std::int64_t size() const;
  std::optional<TokenId> id(std::string_view piece) const;
  const std::string& piece(TokenId id) const;
  std::optional<TokenId> unk_id() const;

 private:
  struct Tables;
  std::unique_ptr<const Tables> tables_;
};

}  // namespace tigerbot
