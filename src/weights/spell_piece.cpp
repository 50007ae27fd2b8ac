#include <fmt/format.h>

#include <algorithm>

#include "base/utf8.h"
#include "tokenizer/byte_level_alphabet.h"
#include "weights/grow_vocabulary.h"

// A new piece as the old tokenizer spells it. Whole text goes through the old tokenizer itself; a
// part of a character, which no text consists of, is cut into the longest old pieces.

namespace tigerbot {
namespace {

constexpr std::string_view kSpaceSymbol = "\xE2\x96\x81";  // "▁", SentencePiece's space

std::vector<TokenId> encode(const Tokenizer& tokenizer, std::string_view text) {
  return tokenizer.encode(text, {.add_special_tokens = false, .parse_special_tokens = false});
}

/// The longest old piece at each place, a byte piece ("<0xE4>") where there is none; bytes that the
/// base dropped (SmolLM2's has no piece for 21 of them) are left out, as its encoder does.
std::vector<TokenId> longest_pieces(const Tokenizer& tokenizer, std::string_view spelled) {
  std::vector<TokenId> ids;
  for (std::size_t at = 0; at < spelled.size();) {
    std::size_t length = spelled.size() - at;
    std::optional<TokenId> id;
    for (; length > 0 && !id; --length) id = tokenizer.id(spelled.substr(at, length));
    if (id) {
      at += length + 1;
    } else {
      id = tokenizer.id(fmt::format("<0x{:02X}>", static_cast<unsigned char>(spelled[at])));
      ++at;
    }
    if (id) ids.push_back(*id);
  }
  return ids;
}

std::string with_spaces(std::string_view piece) {
  std::string text;
  for (std::size_t at = 0; at < piece.size();) {
    if (piece.substr(at).starts_with(kSpaceSymbol)) {
      text += ' ';
      at += kSpaceSymbol.size();
    } else {
      text += piece[at++];
    }
  }
  return text;
}

std::vector<TokenId> spell_sentencepiece(const Tokenizer& tokenizer, const std::string& piece) {
  const std::string text = with_spaces(piece);
  // Most models put a space in front of every text: it stands for the piece's own, or is in the
  // way.
  const bool own_space = text.starts_with(' ') && text.size() > 1;
  std::vector<TokenId> ids = encode(tokenizer, own_space ? text.substr(1) : text);
  const std::string first = ids.empty() ? "" : tokenizer.piece(ids.front());
  if (own_space == first.starts_with(kSpaceSymbol)) return ids;
  if (!own_space && first == kSpaceSymbol && ids.size() > 1) {
    ids.erase(ids.begin());
    return ids;
  }
  return longest_pieces(tokenizer, piece);
}

/// Bytes of text that a piece stands for.
double bytes_of(const std::string& piece, bool byte_level) {
  if (byte_level) {
    const auto bytes = from_byte_level(piece);
    return static_cast<double>(bytes ? bytes->size() : piece.size());
  }
  if (piece.size() == 6 && piece.starts_with("<0x") && piece.ends_with('>')) return 1;
  return static_cast<double>(with_spaces(piece).size());
}

}  // namespace

Spelling spell_piece(const Tokenizer& old_tokenizer, const std::string& piece, bool special) {
  const bool byte_level = old_tokenizer.kind.find("byte-level") != std::string::npos;
  Spelling spelling;
  if (special) {
    spelling.ids = encode(old_tokenizer, piece);
  } else if (!byte_level) {
    spelling.ids = spell_sentencepiece(old_tokenizer, piece);
  } else {
    // A token added as text is not spelled in the alphabet; nor is anything outside it.
    const std::string text = from_byte_level(piece).value_or(piece);
    spelling.ids =
        is_valid_utf8(text) ? encode(old_tokenizer, text) : longest_pieces(old_tokenizer, piece);
  }
  for (const TokenId id : spelling.ids)
    spelling.weights.push_back(std::max(1.0, bytes_of(old_tokenizer.piece(id), byte_level)));
  return spelling;
}

}  // namespace tigerbot
