#pragma once

#include <string>

namespace tigerbot::data {

/// The characters that make up a good part of any text in a language, punctuation too, sorted by
/// code point.
struct CommonCharacters {
  std::u32string simplified, traditional, japanese, korean;
};

const CommonCharacters& common_characters();

}  // namespace tigerbot::data
