#include "data/stages/characters.h"

#include <unicode/normalizer2.h>
#include <unicode/uchar.h>
#include <unicode/uscript.h>

#include <vector>

#include "base/error.h"

namespace tigerbot::data {
namespace {

Script script_group(UScriptCode script) {
  switch (script) {
    case USCRIPT_COMMON:
    case USCRIPT_INHERITED:
    case USCRIPT_UNKNOWN:
      return Script::kCommon;
    case USCRIPT_LATIN:
      return Script::kLatin;
    case USCRIPT_HAN:
      return Script::kHan;
    case USCRIPT_HIRAGANA:
      return Script::kHiragana;
    case USCRIPT_KATAKANA:
      return Script::kKatakana;
    case USCRIPT_HANGUL:
      return Script::kHangul;
    case USCRIPT_CYRILLIC:
      return Script::kCyrillic;
    case USCRIPT_GREEK:
      return Script::kGreek;
    case USCRIPT_ARABIC:
      return Script::kArabic;
    case USCRIPT_HEBREW:
      return Script::kHebrew;
    case USCRIPT_DEVANAGARI:
      return Script::kDevanagari;
    case USCRIPT_THAI:
      return Script::kThai;
    default:
      return Script::kOther;
  }
}

/// What normalization removes or replaces, but for the runs of ordinary spaces and line feeds.
bool needs_cleaning(char32_t c, std::int8_t category) {
  if (c == '\n' || c == '\t') return false;
  if (category == U_CONTROL_CHAR || category == U_FORMAT_CHAR || category == U_SURROGATE)
    return true;
  if (category == U_LINE_SEPARATOR || category == U_PARAGRAPH_SEPARATOR) return true;
  if (category == U_SPACE_SEPARATOR) return c != ' ';
  return (c >= 0xFF01 && c <= 0xFF9F) || c == 0xFFFC || (c >= 0xFFF0 && c <= 0xFFFB) ||
         (c & 0xFFFE) == 0xFFFE || (c >= 0xFDD0 && c <= 0xFDEF);
}

bool ends_sentence(char32_t c) {
  switch (c) {
    case '.':
    case '!':
    case '?':
    case 0x2026:  // …
    case 0x3002:  // 。
    case 0xFF01:
    case 0xFF1F:
    case 0xFF0E:
    case 0xFF61:
    case 0x061F:  // Arabic question mark
    case 0x06D4:  // Urdu full stop
    case 0x0964:  // danda
    case 0x203C:
    case 0x2047:
    case 0x2049:
      return true;
    default:
      return false;
  }
}

std::vector<CharacterClass> build_classes() {
  UErrorCode status = U_ZERO_ERROR;
  const icu::Normalizer2* nfc = icu::Normalizer2::getNFCInstance(status);
  if (U_FAILURE(status)) fail_internal("ICU has no NFC data: {}", u_errorName(status));
  std::vector<CharacterClass> classes(kClassTableSize);
  for (char32_t c = 0; c < kClassTableSize; ++c) {
    const auto code = static_cast<UChar32>(c);
    const std::int8_t category = u_charType(code);
    const std::uint32_t mask = U_MASK(category);
    status = U_ZERO_ERROR;
    Script script = script_group(uscript_getScript(code, &status));
    CharacterClass out = 0;
    if (mask & (U_GC_L_MASK | U_GC_M_MASK)) out |= kLetter;
    if (mask & U_GC_ND_MASK) out |= kDigit;
    if (mask & U_GC_P_MASK) out |= kPunctuation;
    if (mask & U_GC_S_MASK) out |= kSymbol;
    if ((mask & U_GC_Z_MASK) || (c >= 9 && c <= 13)) out |= kSpace;
    if (mask & (U_GC_LU_MASK | U_GC_LT_MASK)) out |= kUpper;
    if (c == 0x30FC || c == 0xFF70) script = Script::kKatakana;  // the long vowel mark is common
    if (!(out & kLetter)) script = Script::kCommon;
    if (ends_sentence(c)) out |= kSentenceEnd;
    if (u_hasBinaryProperty(code, UCHAR_EMOJI_PRESENTATION)) out |= kEmoji;
    if (needs_cleaning(c, category)) out |= kClean;
    if (!nfc->isInert(code) &&
        (!nfc->hasBoundaryBefore(code) || !nfc->isNormalized(icu::UnicodeString(code), status)))
      out |= kCompose;
    if (script == Script::kHan || script == Script::kHiragana || script == Script::kKatakana)
      out |= kIdeographic;
    classes[c] = static_cast<CharacterClass>(out | static_cast<CharacterClass>(script));
  }
  return classes;
}

}  // namespace

const CharacterClass* character_classes() {
  static const std::vector<CharacterClass> classes = build_classes();
  return classes.data();
}

}  // namespace tigerbot::data
