#pragma once

#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tokenizer/tokenizer.h"

namespace tigerbot {

/// WordPiece: from the left, the longest piece that matches; pieces after the first in a word carry
/// a prefix ("##"). A word with a part that matches nothing is the unknown piece as a whole.
class WordPiece {
 public:
  struct Options {
    std::vector<std::string> vocabulary;  ///< index is the id; empty where an id has no piece
    std::string unk_token = "[UNK]";
    std::string continuing_subword_prefix = "##";
    std::size_t max_input_chars_per_word = 100;
  };
  /// `where` names the file and the node in errors.
  WordPiece(Options options, const std::string& where);
  ~WordPiece();

  /// The `model` node of tokenizer.json with "type": "WordPiece".
  static std::unique_ptr<WordPiece> from_json(const nlohmann::json& model,
                                              const std::string& where);

  /// Appends the ids of one pre-token (valid UTF-8, not empty).
  void encode(std::string_view word, std::vector<TokenId>& ids) const;

  std::int64_t size() const;
  std::optional<TokenId> id(std::string_view piece) const;
  const std::string& piece(TokenId id) const;
  std::optional<TokenId> unk_id() const;

 private:
  struct Tables;
  std::unique_ptr<const Tables> tables_;
};

/// A BERT tokenizer from a vocab.txt (one piece a line): BertNormalizer, BertPreTokenizer,
/// WordPiece, [CLS] and [SEP] around the text. `path` names the file in errors.
std::unique_ptr<Tokenizer> parse_wordpiece_vocab(std::string_view text, bool lowercase,
                                                 const std::string& path);

}  // namespace tigerbot
