#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace tigerbot {

/// GPT-2's one-to-one map between bytes and printable characters (U+0021 to U+0143), in which
/// byte-level vocabularies are spelled: "Ġthe" is " the".

/// The character of each byte.
const std::array<char32_t, 256>& byte_level_characters();

/// `bytes` spelled in the alphabet.
std::string to_byte_level(std::string_view bytes);

/// The bytes that `spelled` stands for; nothing if it holds a character outside the alphabet.
std::optional<std::string> from_byte_level(std::string_view spelled);

}  // namespace tigerbot
