#pragma once

#include <bit>
#include <cstdint>
#include <cstring>
#include <string_view>

namespace tigerbot {

/// U+2581, SentencePiece's way to write a space.
inline constexpr std::string_view kSpaceSymbol = "\xE2\x96\x81";

/// Where the word that begins at `begin` ends: before the next U+2581 that follows something else,
/// or at the end of `text`.
inline std::size_t space_word_end(std::string_view text, std::size_t begin) {
  const auto is_space = [&](std::size_t at) {
    return text.size() - at >= 3 && std::memcmp(text.data() + at, kSpaceSymbol.data(), 3) == 0;
  };
  std::size_t at = begin;
  while (is_space(at)) at += 3;
  // Eight bytes at a time to the next 0xE2, which may begin a U+2581.
  constexpr std::uint64_t kOnes = 0x0101010101010101u, kHighs = 0x8080808080808080u;
  while (at < text.size()) {
    if (text.size() - at >= 8) {
      std::uint64_t bytes;
      std::memcpy(&bytes, text.data() + at, 8);
      bytes ^= kOnes * 0xE2u;
      const std::uint64_t found = (bytes - kOnes) & ~bytes & kHighs;
      if (found == 0) {
        at += 8;
        continue;
      }
      // On a little-endian machine the lowest flag is the first byte and always right.
      if constexpr (std::endian::native == std::endian::little) {
        at += static_cast<std::size_t>(std::countr_zero(found)) / 8;
      }
    }
    if (at > begin && is_space(at)) return at;
    ++at;
  }
  return text.size();
}

}  // namespace tigerbot
