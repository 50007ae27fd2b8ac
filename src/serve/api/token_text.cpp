#include "serve/api/token_text.h"

#include <charconv>

#include "tokenizer/byte_level_alphabet.h"

namespace tigerbot::serve {

std::string token_bytes(const Tokenizer& tokenizer, TokenId id) {
  std::string piece = tokenizer.piece(id);
  if (tokenizer.is_special(id)) return piece;
  if (tokenizer.kind == "byte-level BPE") {
    // Added tokens are spelled as they are.
    if (auto bytes = from_byte_level(piece)) return *bytes;
    return piece;
  }
  // SentencePiece: <0x0A> is a byte, and U+2581 a space.
  if (piece.size() == 6 && piece.starts_with("<0x") && piece.back() == '>') {
    unsigned byte = 0;
    const auto [end, error] = std::from_chars(piece.data() + 3, piece.data() + 5, byte, 16);
    if (error == std::errc() && end == piece.data() + 5) return {static_cast<char>(byte)};
  }
  std::string text;
  constexpr std::string_view kSpace = "\u2581";
  for (std::size_t at = 0; at < piece.size();) {
    if (std::string_view(piece).substr(at).starts_with(kSpace)) {
      text += ' ';
      at += kSpace.size();
    } else {
      text += piece[at++];
    }
  }
  return text;
}

}  // namespace tigerbot::serve
