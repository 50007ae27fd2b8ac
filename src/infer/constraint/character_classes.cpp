#include "infer/constraint/character_classes.h"

#include <array>
#include <utility>

#include "tokenizer/unicode_classes.h"

namespace tigerbot::constraint {

namespace {

template <typename Member>
CodePoints where(Member member) {
  CodePoints set;
  std::vector<CodePoints::Range> ranges;
  for (char32_t c = 0; c <= 0x10FFFF; ++c) {
    if (!member(c)) continue;
    if (!ranges.empty() && ranges.back().last + 1 == c) {
      ranges.back().last = c;
    } else {
      ranges.push_back({c, c});
    }
  }
  return CodePoints::of_ranges(std::move(ranges));
}

CodePoints with_bits(std::uint8_t bits) {
  const CharacterClasses& classes = CharacterClasses::get();
  return where([&](char32_t c) { return (classes[c] & bits) != 0; });
}

constexpr std::array<std::pair<std::string_view, std::string_view>, 8> kGroups{{
    {"Letter", "L"},
    {"Mark", "M"},
    {"Number", "N"},
    {"Punctuation", "P"},
    {"Symbol", "S"},
    {"Separator", "Z"},
    {"Uppercase_Letter", "Lu"},
    {"Lowercase_Letter", "Ll"},
}};

constexpr std::array<std::string_view, 29> kCategories{
    "Cn", "Lu", "Ll", "Lt", "Lm", "Lo", "Nd", "Nl", "No", "Mn", "Mc", "Me", "Pc", "Pd", "Ps",
    "Pe", "Pi", "Pf", "Po", "Sm", "Sc", "Sk", "So", "Zs", "Zl", "Zp", "Cc", "Cf", "Co"};

}  // namespace

CharacterClass exact_class(const CodePoints& set) { return {set, set}; }

CharacterClass digit_class() {
  static const CodePoints wide = with_bits(character::kNumber);
  return {CodePoints::of('0', '9'), wide};
}

CharacterClass word_class() {
  static const CodePoints wide = [] {
    CodePoints set =
        with_bits(character::kWord | character::kLetter | character::kNumber | character::kNumeric);
    set.add('_', '_');
    return set;
  }();
  CodePoints narrow = CodePoints::of('0', '9');
  narrow.add('A', 'Z');
  narrow.add('a', 'z');
  narrow.add('_', '_');
  return {narrow, wide};
}

CharacterClass space_class() {
  static const CodePoints wide = [] {
    CodePoints set = with_bits(character::kSpace);
    set.add('\t', '\r');
    set.add(0x1C, 0x20);
    set.add(0xFEFF, 0xFEFF);
    return set;
  }();
  CodePoints narrow = CodePoints::of('\t', '\r');
  narrow.add(' ', ' ');
  return {narrow, wide};
}

CharacterClass dot_class() {
  CodePoints line_ends = CodePoints::of('\n', '\n');
  const CodePoints wide = line_ends.complement();
  line_ends.add('\r', '\r');
  line_ends.add(0x2028, 0x2029);
  return {line_ends.complement(), wide};
}

std::optional<CharacterClass> property_class(std::string_view name) {
  if (name.starts_with("gc=")) name.remove_prefix(3);
  if (name.starts_with("General_Category=")) name.remove_prefix(17);
  for (const auto& [full, abbreviation] : kGroups) {
    if (name == full) name = abbreviation;
  }
  if (name.empty() || name.size() > 2) return std::nullopt;
  std::array<bool, kCategories.size()> wanted{};
  bool any = false;
  for (std::size_t i = 0; i < kCategories.size(); ++i) {
    wanted[i] = kCategories[i].starts_with(name);
    any |= wanted[i];
  }
  if (!any) return std::nullopt;
  const CharacterClasses& classes = CharacterClasses::get();
  return exact_class(
      where([&](char32_t c) { return wanted[static_cast<std::size_t>(classes.category(c))]; }));
}

}  // namespace tigerbot::constraint
