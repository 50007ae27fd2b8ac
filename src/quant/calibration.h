#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "tokenizer/tokenizer.h"

namespace tigerbot::quant {

struct CalibrationOptions {
  /// Texts, JSON lines with "text" or of conversations, folders or globs, each with "zh=" before it
  /// or not. Empty: the text that recipes/fetch_text.py collected, in the languages that the
  /// tokenizer knows.
  std::vector<std::string> inputs;
  std::int64_t samples = 32;   ///< sequences
  std::int64_t context = 512;  ///< tokens of each
  std::uint64_t seed = 0;
};

/// How a model writes conversations.
struct ChatFormat {
  std::string chat_template;  ///< Jinja; empty where the model has none
  std::string bos_token, eos_token;
};

/// What stands around every sequence: the marks of an encoder's texts ([CLS], [SEP]).
struct SequenceFrame {
  std::vector<TokenId> before, after;
};
/// What the tokenizer writes around a text.
SequenceFrame frame_of(const Tokenizer& tokenizer);

struct CalibrationSet {
  std::vector<std::vector<TokenId>> sequences;    ///< all of the same length
  std::map<std::string, std::int64_t> languages;  ///< sequences of each; "" where unknown
  std::int64_t conversations = 0;                 ///< rows that went through the chat template
};

/// Draws the same share of every language. Files whose rows are conversations (`messages`,
/// `conversations`, `instruction` and `output`) go through the model's chat template. An Error
/// where there is no text, or not enough for one sequence; a warning where there is less than asked
/// for, or text that the tokenizer can hardly spell: the wrong language for this model.
CalibrationSet read_calibration(const CalibrationOptions& options, const Tokenizer& tokenizer,
                                const ChatFormat& chat, const SequenceFrame& frame = {});

}  // namespace tigerbot::quant
