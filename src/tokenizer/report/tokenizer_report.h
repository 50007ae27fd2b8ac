#pragma once

#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "tokenizer/tokenizer.h"

namespace tigerbot {

/// How a tokenizer does on text in one language.
struct LanguageFigures {
  std::uint64_t bytes = 0, characters = 0, words = 0, tokens = 0;
  std::uint64_t unknown_tokens = 0;    ///< the unknown piece
  std::uint64_t byte_tokens = 0;       ///< byte pieces and pieces that are no whole characters
  std::uint64_t split_characters = 0;  ///< spelled in several tokens
  std::uint64_t pieces_used = 0;       ///< different pieces
  /// With all ASCII characters left out of the text.
  std::uint64_t foreign_characters = 0, foreign_tokens = 0;

  double characters_per_token() const { return ratio(characters, tokens); }
  double bytes_per_token() const { return ratio(bytes, tokens); }
  /// Tokens a word (Unicode's word boundaries, with ICU's dictionaries for Chinese and Japanese).
  double fertility() const { return ratio(tokens, words); }
  /// Share of the characters that are not unknown and not cut in parts.
  double coverage() const { return 1 - ratio(split_characters + unknown_tokens, characters); }
  double unknown_rate() const { return ratio(unknown_tokens, tokens); }
  double byte_rate() const { return ratio(byte_tokens, tokens); }
  double foreign_characters_per_token() const { return ratio(foreign_characters, foreign_tokens); }

 private:
  static double ratio(std::uint64_t a, std::uint64_t b) {
    return b == 0 ? 0 : static_cast<double>(a) / static_cast<double>(b);
  }
};

/// A sentence as a tokenizer cuts it: the bytes of each token.
using CutSentence = std::vector<std::string>;

struct TokenizerReport {
  std::string name, kind;
  std::int64_t pieces = 0;
  std::map<std::string, LanguageFigures> languages;
  std::map<std::string, std::uint64_t> pieces_by_script;  ///< "Latin", "Han", "bytes", "special"
  std::vector<CutSentence> examples;
};

/// Text of one language, in lines.
using TextsByLanguage = std::map<std::string, std::vector<std::string>>;

/// Measures a tokenizer on texts and cuts the example sentences.
TokenizerReport make_tokenizer_report(const std::string& name, const Tokenizer& tokenizer,
                                      const TextsByLanguage& texts,
                                      const std::vector<std::string>& sentences, int threads);

/// The bytes that a token stands for, as far as its piece says: "Ġthe" is " the", "<0xE4>" one
/// byte.
std::string token_bytes(const Tokenizer& tokenizer, TokenId id);

/// Words of a text as fertility counts them.
std::uint64_t count_unicode_words(const std::string& text);

nlohmann::ordered_json report_json(const std::vector<TokenizerReport>& reports,
                                   const std::vector<std::string>& sentences);

/// Tables for a terminal.
std::string report_text(const std::vector<TokenizerReport>& reports,
                        const std::vector<std::string>& sentences);

/// One page with tables and plots (SVG) that needs no other file.
std::string report_html(const std::vector<TokenizerReport>& reports,
                        const std::vector<std::string>& sentences);

/// A sentence in each of English, Chinese, Japanese and Korean (article 1 of the Universal
/// Declaration of Human Rights).
const std::vector<std::string>& example_sentences();

}  // namespace tigerbot
