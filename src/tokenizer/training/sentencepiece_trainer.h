#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace tigerbot {

/// What libsentencepiece's trainer is asked for, by its own names.
struct SentencePieceTrainerOptions {
  enum class Type { kBpe, kUnigram };
  Type type = Type::kBpe;
  std::size_t vocab_size = 8000;
  double character_coverage = 0.9995;  ///< share of the characters that become pieces
  bool byte_fallback = true;           ///< other characters are spelled in 256 byte pieces
  bool split_digits = true;            ///< every digit is a piece of its own
  bool split_by_whitespace = true;
  bool add_dummy_prefix = true;
  bool remove_extra_whitespaces = false;
  std::string normalization_rule = "identity";  ///< nmt_nfkc, nfkc, nmt_nfkc_cf, nfkc_cf, identity
  std::uint32_t max_piece_length = 16;          ///< in characters
  std::vector<std::string> user_defined_pieces;
  std::vector<std::string> control_pieces;  ///< besides the four roles
  std::string unk_piece = "<unk>", bos_piece = "<s>", eos_piece = "</s>";
  std::string pad_piece;         ///< empty: none
  bool hard_vocab_limit = true;  ///< an Error where the text has not so many pieces
  int threads = 1;
};

/// Trains a SentencePiece model (Kudo and Richardson 2018, arXiv:1808.06226) on texts that
/// `next_text` gives until it has no more; they are cut into lines, and lines of more than 16 kB at
/// spaces or between characters. Returns the bytes of a .model file. An Error with the library's
/// words where it refuses.
std::string train_sentencepiece(const SentencePieceTrainerOptions& options,
                                const std::function<std::optional<std::string>()>& next_text);

}  // namespace tigerbot
