#include "tokenizer/byte_level_alphabet.h"

namespace tigerbot {
namespace {

constexpr std::uint32_t kAlphabetEnd = 0x144;

bool stands_for_itself(std::uint32_t byte) {
  return (byte >= 0x21 && byte <= 0x7E) || (byte >= 0xA1 && byte <= 0xAC) || byte >= 0xAE;
}

std::array<std::int16_t, kAlphabetEnd> make_bytes() {
  std::array<std::int16_t, kAlphabetEnd> bytes;
  bytes.fill(-1);
  for (std::int16_t byte = 0; byte < 256; ++byte) {
    bytes[byte_level_characters()[static_cast<std::size_t>(byte)]] = byte;
  }
  return bytes;
}

}  // namespace

const std::array<char32_t, 256>& byte_level_characters() {
  static const std::array<char32_t, 256> characters = [] {
    std::array<char32_t, 256> result;
    char32_t next = 256;
    for (std::uint32_t byte = 0; byte < 256; ++byte) {
      result[byte] = stands_for_itself(byte) ? byte : next++;
    }
    return result;
  }();
  return characters;
}

std::string to_byte_level(std::string_view bytes) {
  std::string spelled;
  spelled.reserve(bytes.size() * 2);
  for (const char byte : bytes) {
    const char32_t character = byte_level_characters()[static_cast<unsigned char>(byte)];
    if (character < 0x80) {
      spelled.push_back(static_cast<char>(character));
    } else {
      spelled.push_back(static_cast<char>(0xC0 | character >> 6));
      spelled.push_back(static_cast<char>(0x80 | (character & 63)));
    }
  }
  return spelled;
}

std::optional<std::string> from_byte_level(std::string_view spelled) {
  static const std::array<std::int16_t, kAlphabetEnd> bytes = make_bytes();
  std::string result;
  result.reserve(spelled.size());
  for (std::size_t i = 0; i < spelled.size(); ++i) {
    std::uint32_t character = static_cast<unsigned char>(spelled[i]);
    if (character >= 0x80) {
      if (character < 0xC2 || character >= 0xE0 || i + 1 == spelled.size()) return std::nullopt;
      const auto second = static_cast<unsigned char>(spelled[++i]);
      if ((second & 0xC0) != 0x80) return std::nullopt;
      character = (character & 31) << 6 | (second & 63);
    }
    if (character >= kAlphabetEnd || bytes[character] < 0) return std::nullopt;
    result.push_back(static_cast<char>(bytes[character]));
  }
  return result;
}

}  // namespace tigerbot
