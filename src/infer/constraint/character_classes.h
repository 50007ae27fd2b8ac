#pragma once

#include <optional>
#include <string_view>

#include "infer/constraint/code_points.h"

namespace tigerbot::constraint {

/// A class of characters in regular expressions: what all dialects take and what any does.
struct CharacterClass {
  CodePoints narrow, wide;

  CharacterClass negated() const { return {wide.complement(), narrow.complement()}; }
  void add(const CharacterClass& other) {
    narrow.add(other.narrow);
    wide.add(other.wide);
  }
};

CharacterClass exact_class(const CodePoints& set);
CharacterClass digit_class();  ///< \d
CharacterClass word_class();   ///< \w
CharacterClass space_class();  ///< \s
CharacterClass dot_class();    ///< .

/// \p{NAME}: a general category of Unicode, short ("Lu", "L"), or long for the groups ("Letter").
std::optional<CharacterClass> property_class(std::string_view name);

}  // namespace tigerbot::constraint
