#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace tigerbot::data {

/// What clean_characters() does; all of it by default.
struct CleaningOptions {
  bool controls = true;     ///< control characters, and invisible ones that no script needs
  bool white_space = true;  ///< line ends become \n; runs of spaces and empty lines become one
  bool full_width = true;   ///< full-width letters, digits and signs become ordinary ones
  bool indentation = true;  ///< spaces and tabs at the beginning of a line stay
  bool compose = true;      ///< NFC
};

/// What changed.
struct CleaningEdits {
  bool controls = false, invisible = false, line_ends = false, white_space = false,
       full_width = false, composed = false;

  bool any() const {
    return controls || invisible || line_ends || white_space || full_width || composed;
  }
};

/// Characters as training data wants them. Text that needs nothing is only read; `text` is replaced
/// otherwise.
///
/// Full-width letters, digits and signs (Ａ１＋) become ordinary ones, and half-width katakana full
/// ones; punctuation (，：！？（）) stays full-width in lines that have Chinese or Japanese
/// characters, and a sign between two of them stays. Joiners stay between the characters of scripts
/// that need them, and in emoji.
CleaningEdits clean_characters(std::string& text, const CleaningOptions& options);

}  // namespace tigerbot::data
