#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

namespace tigerbot::data {

/// How a language is counted: by words between spaces, or by characters.
enum class TextKind : std::uint8_t { kSpaced, kChinese, kJapanese, kKorean };

/// The kind of a language code; for "" by the characters of the text.
TextKind text_kind(std::string_view language, std::string_view text);

/// A word (lower case), or an ideograph or kana of Chinese and Japanese text.
struct Token {
  std::uint64_t hash = 0;
  std::uint32_t characters = 0;
};

/// What the rules look at, all from one pass over the text.
struct TextStatistics {
  TextKind kind = TextKind::kSpaced;
  std::uint64_t characters = 0;  ///< all but white space
  std::uint64_t letters = 0, digits = 0, punctuation = 0, symbols = 0, emoji = 0, upper = 0;
  std::uint64_t han = 0, hiragana = 0, katakana = 0, hangul = 0;
  std::uint64_t latin = 0;              ///< Latin letters
  std::uint64_t jamo = 0;               ///< Korean letters that stand alone: ㅋㅋ, ㅠㅠ
  std::uint64_t ruled = 0;              ///< repetitions of a sign: ----, ====, ....
  std::uint64_t ruled_punctuation = 0;  ///< of them punctuation
  std::uint64_t broken = 0;             ///< U+FFFD and private use
  std::uint64_t words = 0;              ///< of spaced scripts
  std::uint64_t word_characters = 0;    ///< in those words
  std::uint64_t long_words = 0;         ///< characters in words of more than 40
  std::uint64_t function_words = 0;     ///< stop words of the language; see function_word_ratio()
  std::uint64_t particles = 0;          ///< Chinese modal particles at the end of phrases
  std::uint64_t spaced_ideographs = 0;  ///< ideographs with a space before and behind them
  std::uint64_t shouts = 0;             ///< !!, ??, ~~, 。。 and longer runs
  std::uint64_t sentences = 0;          ///< ends of sentences, and of paragraphs without one
  std::uint64_t ended_sentences = 0;    ///< of them with their sign
  std::uint64_t endings = 0;            ///< ends of sentences and lines of Japanese and Korean,
  std::uint64_t spoken_endings = 0;     ///< and those of them in a spoken form (-요, -ね)
  std::uint64_t lines = 0;              ///< with anything on them
  std::uint64_t bullet_lines = 0, ellipsis_lines = 0, short_lines = 0, terminal_lines = 0;
  std::uint64_t dialogue_lines = 0;  ///< "12:30 Name", "Name: short text"
  std::uint64_t repeated_lines = 0, repeated_line_characters = 0;  ///< of 5 characters and more
  std::uint64_t paragraphs = 0, repeated_paragraphs = 0, repeated_paragraph_characters = 0;
  std::uint64_t tag_characters = 0;  ///< inside < >, { }, and &entities;
  bool ends_with_ellipsis = false;   ///< the whole text
  bool ends_open = false;            ///< its last line is long and stops without an end
  std::vector<Token> tokens;

  /// Share of stop words among the words; of function characters among the ideographs (Chinese), of
  /// hiragana among ideographs and kana (Japanese), of words with a particle or ending (Korean).
  double function_word_ratio() const;
};

TextStatistics text_statistics(std::string_view text, TextKind kind);

/// True if stop words of the language are known (they are for English and eleven other languages
/// written with spaces, and for Chinese, Japanese and Korean).
bool knows_stop_words(std::string_view language);

}  // namespace tigerbot::data
