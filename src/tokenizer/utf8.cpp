#include "tokenizer/utf8.h"

#include <cstring>

namespace tigerbot {
namespace {

// Bytes of the ill-formed part at `position`: the longest start of a well-formed character, or 1.
std::size_t ill_formed_length(std::string_view text, std::size_t position) {
  const auto byte = [&](std::size_t i) -> unsigned {
    return position + i < text.size() ? static_cast<unsigned char>(text[position + i]) : 0u;
  };
  const unsigned lead = byte(0);
  unsigned low = 0x80, high = 0xBF;
  std::size_t length = 1;
  if (lead >= 0xC2 && lead < 0xE0) {
    length = 2;
  } else if (lead >= 0xE0 && lead < 0xF0) {
    length = 3;
    if (lead == 0xE0) low = 0xA0;
    if (lead == 0xED) high = 0x9F;
  } else if (lead >= 0xF0 && lead < 0xF5) {
    length = 4;
    if (lead == 0xF0) low = 0x90;
    if (lead == 0xF4) high = 0x8F;
  }
  std::size_t i = 1;
  for (; i < length; ++i, low = 0x80, high = 0xBF) {
    if (byte(i) < low || byte(i) > high) break;
  }
  return i;
}

std::size_t valid_prefix(std::string_view bytes, std::size_t position) {
  while (position < bytes.size()) {
    if (position + 8 <= bytes.size()) {
      std::uint64_t word;
      std::memcpy(&word, bytes.data() + position, 8);
      if ((word & 0x8080808080808080u) == 0) {
        position += 8;
        continue;
      }
    }
    const DecodedChar c = decode_utf8(bytes, position);
    if (!c.valid) break;
    position += c.length;
  }
  return position;
}

}  // namespace

bool is_valid_utf8(std::string_view bytes) { return valid_prefix(bytes, 0) == bytes.size(); }

std::string replace_invalid_utf8(std::string_view bytes) {
  std::string text;
  text.reserve(bytes.size());
  for (std::size_t position = 0; position < bytes.size();) {
    const std::size_t end = valid_prefix(bytes, position);
    text.append(bytes.substr(position, end - position));
    position = end;
    if (position < bytes.size()) {
      text += "\xEF\xBF\xBD";
      position += ill_formed_length(bytes, position);
    }
  }
  return text;
}

}  // namespace tigerbot
