#include "tokenizer/extension/base_text_guard.h"

#include <unicode/uchar.h>
#include <unicode/uscript.h>

#include <algorithm>
#include <set>

#include "base/error.h"
#include "base/text.h"
#include "tokenizer/utf8.h"

namespace tigerbot {
namespace {

constexpr std::uint32_t kCodePoints = 0x110000;

// Common and inherited characters that English, say, never uses.
bool is_east_asian(std::uint32_t code_point) {
  constexpr std::pair<std::uint32_t, std::uint32_t> kBlocks[] = {
      {0x2E80, 0x303F},    // radicals, description characters, CJK punctuation
      {0x3040, 0x33FF},    // kana and their marks, strokes, enclosed and squared characters
      {0x4DC0, 0x4DFF},    // hexagrams, which share their first byte with ideographs
      {0xFE10, 0xFE1F},    // vertical forms
      {0xFE30, 0xFE6F},    // compatibility and small forms
      {0xFF00, 0xFFEF},    // half- and full-width forms
      {0x1F200, 0x1F2FF},  // enclosed ideographs
      {0x1AFF0, 0x1B16F},  // kana of the second plane
      {0x20000, 0x3FFFF},
  };
  return std::any_of(std::begin(kBlocks), std::end(kBlocks), [&](const auto& block) {
    return code_point >= block.first && code_point <= block.second;
  });
}

// Unassigned characters occur in no text, unless they are emoji newer than our tables.
bool may_be_new_emoji(std::uint32_t code_point) {
  return code_point >= 0x1F000 && code_point <= 0x1FAFF;
}

std::set<UScriptCode> parse_scripts(const std::vector<std::string>& names) {
  std::set<UScriptCode> scripts;
  for (const std::string& name : names) {
    const std::int32_t script = u_getPropertyValueEnum(UCHAR_SCRIPT, name.c_str());
    if (script == UCHAR_INVALID_CODE) {
      fail("{} is no script that Unicode knows; write Latin, Cyrillic, Arabic, ...", quote(name));
    }
    scripts.insert(static_cast<UScriptCode>(script));
  }
  return scripts;
}

}  // namespace

BaseTextGuard::BaseTextGuard(const std::vector<std::string>& names) {
  const std::set<UScriptCode> scripts = parse_scripts(names);
  before_.resize(kCodePoints + 1, 0);
  for (std::uint32_t c = 0; c < kCodePoints; ++c) {
    UErrorCode error = U_ZERO_ERROR;
    const UScriptCode script = uscript_getScript(static_cast<UChar32>(c), &error);
    bool is_base = scripts.contains(script);
    if (script == USCRIPT_COMMON || script == USCRIPT_INHERITED) is_base = !is_east_asian(c);
    if (script == USCRIPT_UNKNOWN) {
      is_base = u_charType(static_cast<UChar32>(c)) == U_PRIVATE_USE_CHAR || may_be_new_emoji(c);
    }
    if (c >= 0xD800 && c < 0xE000) is_base = false;
    before_[c + 1] = before_[c] + (is_base ? 1 : 0);
  }
}

bool BaseTextGuard::any_base_character(std::uint32_t first, std::uint32_t last) const {
  last = std::min(last, kCodePoints - 1);
  return first <= last && before_[last + 1] != before_[first];
}

bool BaseTextGuard::is_base_character(char32_t code_point) const {
  return any_base_character(code_point, code_point);
}

bool BaseTextGuard::is_base_text(std::string_view text) const {
  for (std::size_t at = 0; at < text.size();) {
    const DecodedChar character = next_code_point(text, at);
    if (!is_base_character(character.code_point)) return false;
    at += character.length;
  }
  return true;
}

bool BaseTextGuard::may_occur(std::string_view bytes) const {
  for (std::size_t at = 0; at < bytes.size(); ++at) {
    const auto lead = static_cast<unsigned char>(bytes[at]);
    if (lead >= 0x80 && lead < 0xC0) continue;  // the rest of a character that began before
    if (lead < 0x80) {
      if (!is_base_character(lead)) return false;
      continue;
    }
    // The characters that begin with the bytes that are here.
    const std::size_t length = utf8_length(lead);
    const std::size_t known = std::min(length, bytes.size() - at);
    std::uint32_t first = lead & (0x7Fu >> length);
    std::size_t read = 1;
    for (; read < known; ++read) {
      const auto next = static_cast<unsigned char>(bytes[at + read]);
      if ((next & 0xC0) != 0x80) return false;  // no text holds this
      first = first << 6 | (next & 0x3Fu);
    }
    const auto missing = static_cast<std::uint32_t>(6 * (length - known));
    first <<= missing;
    if (!any_base_character(first, first | ((1u << missing) - 1))) return false;
  }
  return true;
}

}  // namespace tigerbot
