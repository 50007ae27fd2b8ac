#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "data/stage.h"

namespace tigerbot::data {

struct LanguageShare {
  std::string language;
  double share = 0;  ///< of the letters whose language is known, ideographs counting thrice
};

struct DetectedLanguage {
  std::string language;   ///< "en", "zh", "zh-Hant", "ja", "ko", ISO 639-1 otherwise; "" unknown
  double confidence = 0;  ///< 0 to 1
  std::vector<LanguageShare> shares;  ///< the largest first; they sum to 1
};

/// The language of a text. Scripts decide where they can: Hangul is Korean, kana makes the Han
/// around it Japanese, Han alone is Chinese, its script by the characters that only one of them has
/// (both absent: simplified). CLD2 tells the languages of Latin, Cyrillic, Arabic and the other
/// scripts apart, on at most 1 KiB of text from four
/// places; blocks full of English function words are English without it.
DetectedLanguage detect_language(std::string_view text);

/// `kind = "language"`. Keys and reason codes: docs/data-stages.md.
std::unique_ptr<DocumentStage> make_language_stage(JsonReader& reader);

}  // namespace tigerbot::data
