#pragma once

#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tokenizer/tokenizer.h"

namespace tigerbot {

/// The unigram language model of tokenizer.json: the segmentation of highest total log-probability
/// (Kudo 2018, arXiv:1804.10959), by Viterbi over a trie. Scores add up in double precision and a
/// character that is no piece costs the lowest score minus 10, as in Hugging Face tokenizers.
class Unigram {
 public:
  struct Options {
    std::vector<std::pair<std::string, double>>
        vocabulary;  ///< pieces with scores; index is the id
    std::optional<TokenId> unk_id;
    bool byte_fallback = false;
  };
  /// `where` names the file and the node in errors.
  Unigram(Options options, const std::string& where);
  ~Unigram();

  /// The `model` node of tokenizer.json with "type": "Unigram".
  static std::unique_ptr<Unigram> from_json(const nlohmann::json& model, const std::string& where);

  /// Appends the ids of one pre-token (valid UTF-8). Throws if a character is unknown and the
  /// vocabulary has no unknown piece.
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
