#include "tokenizer/sentencepiece_normalizer.h"

#include "tokenizer/space_words.h"
#include "tokenizer/utf8.h"

namespace tigerbot {
namespace {

constexpr std::string_view kReplacement = "\xEF\xBF\xBD";

}  // namespace

ByteTrie user_defined_symbols(const SentencePieceModel& model) {
  std::vector<std::pair<std::string, std::int32_t>> symbols;
  for (std::size_t id = 0; id < model.pieces.size(); ++id) {
    if (model.pieces[id].type == SentencePieceModel::PieceType::kUserDefined) {
      symbols.emplace_back(model.pieces[id].text, static_cast<std::int32_t>(id));
    }
  }
  return ByteTrie(std::move(symbols));
}

SentencePieceNormalizer::SentencePieceNormalizer(const SentencePieceModel::NormalizerSpec& spec,
                                                 bool treat_whitespace_as_suffix,
                                                 ByteTrie user_defined, const std::string& where)
    : charsmap_(spec.precompiled_charsmap, where),
      user_defined_(std::move(user_defined)),
      plain_(charsmap_.empty() && user_defined_.empty()),
      add_dummy_prefix_(spec.add_dummy_prefix),
      remove_extra_whitespaces_(spec.remove_extra_whitespaces),
      treat_whitespace_as_suffix_(treat_whitespace_as_suffix),
      space_(spec.escape_whitespaces ? kSpaceSymbol : std::string_view(" ")) {}

SentencePieceNormalizer::Prefix SentencePieceNormalizer::normalize_prefix(
    std::string_view text) const {
  if (!user_defined_.empty()) {
    const ByteTrie::Match match = user_defined_.longest_match(text);
    if (match.length > 0) return {text.substr(0, match.length), match.length};
  }
  const auto first = static_cast<unsigned char>(text[0]);
  const auto second = static_cast<unsigned char>(text.size() > 1 ? text[1] : '\0');
  if (charsmap_.may_begin(first, second)) {
    const PrecompiledCharsmap::Match match = charsmap_.longest_match(text);
    if (match.length > 0) return {match.replacement, match.length};
  }
  const DecodedChar c = next_code_point(text, 0);
  if (!c.valid) return {kReplacement, 1};
  return {text.substr(0, c.length), c.length};
}

std::string SentencePieceNormalizer::normalize(std::string_view text) const {
  std::string normalized;
  if (remove_extra_whitespaces_) {
    while (!text.empty()) {
      const Prefix prefix = normalize_prefix(text);
      if (prefix.replacement != " ") break;
      text.remove_prefix(prefix.length);
    }
  }
  if (text.empty()) return normalized;
  normalized.reserve(text.size() + text.size() / 2 + 64);
  if (add_dummy_prefix_ && !treat_whitespace_as_suffix_) normalized += space_;

  if (plain_ && !remove_extra_whitespaces_ && is_valid_utf8(text)) {
    append_plain(text, normalized);
  } else {
    bool after_space = remove_extra_whitespaces_;
    while (!text.empty()) {
      const Prefix prefix = normalize_prefix(text);
      std::string_view part = prefix.replacement;
      while (after_space && part.starts_with(' ')) part.remove_prefix(1);
      for (const char c : part) {
        if (c == ' ') {
          normalized += space_;
        } else {
          normalized += c;
        }
      }
      if (!part.empty()) after_space = remove_extra_whitespaces_ && part.ends_with(' ');
      text.remove_prefix(prefix.length);
    }
  }

  if (remove_extra_whitespaces_) {
    while (normalized.ends_with(space_)) normalized.resize(normalized.size() - space_.size());
  }
  if (add_dummy_prefix_ && treat_whitespace_as_suffix_) normalized += space_;
  return normalized;
}

void SentencePieceNormalizer::append_plain(std::string_view text, std::string& normalized) const {
  while (!text.empty()) {
    const std::size_t space = text.find(' ');
    normalized += text.substr(0, space);
    if (space == std::string_view::npos) return;
    normalized += space_;
    text.remove_prefix(space + 1);
  }
}

}  // namespace tigerbot
