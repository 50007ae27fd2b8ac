#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "tokenizer/tokenizer.h"

namespace tigerbot::quant {

struct CalibrationOptions {
  /// Texts, JSON lines with "text", folders or globs, each with "zh=" before it or not. Empty: the
  /// text that recipes/fetch_text.py collected, in the languages that the tokenizer knows.
  std::vector<std::string> inputs;
  std::int64_t samples = 32;   ///< sequences
  std::int64_t context = 512;  ///< tokens of each
  std::uint64_t seed = 0;
};

struct CalibrationSet {
  std::vector<std::vector<TokenId>> sequences;    ///< all of the same length
  std::map<std::string, std::int64_t> languages;  ///< sequences of each; "" where unknown
};

/// Draws the same share of every language. An Error where there is no text, or not enough for one
/// sequence; a warning where there is less than asked for, or text that the tokenizer can hardly
/// spell: the wrong language for this model.
CalibrationSet read_calibration(const CalibrationOptions& options, const Tokenizer& tokenizer);

}  // namespace tigerbot::quant
