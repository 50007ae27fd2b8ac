#include "tokenizer/report/tokenizer_report.h"

#include <unicode/brkiter.h>
#include <unicode/uscript.h>
#include <unicode/utext.h>

#include <algorithm>
#include <set>

#include "base/error.h"
#include "base/utf8.h"
#include "tokenizer/byte_level_alphabet.h"

namespace tigerbot {
namespace {

constexpr std::string_view kSpace = "\xE2\x96\x81";  // U+2581

bool is_byte_piece(std::string_view piece) {
  return piece.size() == 6 && piece.starts_with("<0x") && piece.ends_with('>') &&
         std::string_view("0123456789ABCDEF").find(piece[3]) != std::string_view::npos &&
         std::string_view("0123456789ABCDEF").find(piece[4]) != std::string_view::npos;
}

// What each id is, looked up once.
struct PieceFacts {
  std::string bytes;
  bool is_byte = false, is_unknown = false;
};

std::vector<PieceFacts> facts_of(const Tokenizer& tokenizer) {
  std::vector<PieceFacts> facts(static_cast<std::size_t>(tokenizer.size()));
  for (std::size_t i = 0; i < facts.size(); ++i) {
    const auto id = static_cast<TokenId>(i);
    facts[i].bytes = token_bytes(tokenizer, id);
    facts[i].is_unknown = tokenizer.unk_id == id;
    facts[i].is_byte =
        !tokenizer.is_special(id) && !facts[i].bytes.empty() && !is_valid_utf8(facts[i].bytes);
    if (is_byte_piece(tokenizer.piece(id))) facts[i].is_byte = true;
  }
  return facts;
}

std::string without_ascii(const std::string& text) {
  std::string rest;
  for (const char c : text) {
    if (static_cast<unsigned char>(c) >= 0x80) rest.push_back(c);
  }
  return rest;
}

std::uint64_t count_characters(std::string_view text) {
  return static_cast<std::uint64_t>(std::count_if(text.begin(), text.end(), [](char c) {
    return (static_cast<unsigned char>(c) & 0xC0) != 0x80;
  }));
}

LanguageFigures measure(const Tokenizer& tokenizer, const std::vector<PieceFacts>& facts,
                        const std::vector<std::string>& texts, int threads) {
  const Tokenizer::EncodeOptions options{.add_special_tokens = false,
                                         .parse_special_tokens = false};
  LanguageFigures figures;
  std::vector<std::string> foreign;
  for (const std::string& text : texts) {
    figures.bytes += text.size();
    figures.characters += count_characters(text);
    figures.words += count_unicode_words(text);
    std::string rest = without_ascii(text);
    if (rest.empty()) continue;
    figures.foreign_characters += count_characters(rest);
    foreign.push_back(std::move(rest));
  }
  const std::vector<std::string_view> views(texts.begin(), texts.end());
  const EncodedBatch batch = tokenizer.encode_batch(views, options, threads);
  std::vector<bool> used(facts.size());
  for (const std::span<const TokenId> ids : batch.texts) {
    figures.tokens += ids.size();
    std::string run;  // bytes of neighbouring tokens that are no whole characters
    for (const TokenId id : ids) {
      const auto index = static_cast<std::size_t>(id);
      const PieceFacts& piece = facts[index];
      used[index] = true;
      if (piece.is_unknown) ++figures.unknown_tokens;
      if (piece.is_byte) {
        ++figures.byte_tokens;
        run += piece.bytes;
      } else if (!run.empty()) {
        figures.split_characters += count_characters(run);
        run.clear();
      }
    }
    figures.split_characters += count_characters(run);
  }
  figures.pieces_used = static_cast<std::uint64_t>(std::count(used.begin(), used.end(), true));
  const std::vector<std::string_view> foreign_views(foreign.begin(), foreign.end());
  for (const auto& ids : tokenizer.encode_batch(foreign_views, options, threads).texts) {
    figures.foreign_tokens += ids.size();
  }
  return figures;
}

// The script of most characters of a piece that have one of their own.
std::string script_of(const std::string& bytes) {
  std::map<std::string, int> counts;
  bool any_letter = false;
  for (const char32_t c : decode_utf8(bytes)) {
    UErrorCode error = U_ZERO_ERROR;
    const UScriptCode script = uscript_getScript(static_cast<UChar32>(c), &error);
    if (script == USCRIPT_COMMON || script == USCRIPT_INHERITED || script == USCRIPT_UNKNOWN) {
      continue;
    }
    any_letter = true;
    ++counts[uscript_getName(script)];
  }
  if (!any_letter) return "digits and symbols";
  return std::max_element(counts.begin(), counts.end(),
                          [](const auto& a, const auto& b) { return a.second < b.second; })
      ->first;
}

}  // namespace

std::string token_bytes(const Tokenizer& tokenizer, TokenId id) {
  std::string piece = tokenizer.piece(id);
  if (tokenizer.is_special(id)) return piece;
  if (tokenizer.kind == "byte-level BPE") {
    auto bytes = from_byte_level(piece);
    return bytes ? std::move(*bytes) : piece;
  }
  if (is_byte_piece(piece)) {
    return std::string(1, static_cast<char>(std::stoi(piece.substr(3, 2), nullptr, 16)));
  }
  for (std::size_t at = 0; (at = piece.find(kSpace, at)) != std::string::npos; ++at) {
    piece.replace(at, kSpace.size(), " ");
  }
  if (tokenizer.kind == "WordPiece" && piece.starts_with("##")) return piece.substr(2);
  return piece;
}

std::uint64_t count_unicode_words(const std::string& text) {
  thread_local std::unique_ptr<icu::BreakIterator> words;
  UErrorCode error = U_ZERO_ERROR;
  if (!words) {
    words.reset(icu::BreakIterator::createWordInstance(icu::Locale::getRoot(), error));
    if (U_FAILURE(error)) fail_internal("ICU gives no word boundaries: {}", u_errorName(error));
  }
  UText utext = UTEXT_INITIALIZER;
  utext_openUTF8(&utext, text.data(), static_cast<std::int64_t>(text.size()), &error);
  words->setText(&utext, error);
  std::uint64_t count = 0;
  for (std::int32_t at = words->first(); at != icu::BreakIterator::DONE; at = words->next()) {
    if (words->getRuleStatus() >= UBRK_WORD_NONE_LIMIT) ++count;
  }
  utext_close(&utext);
  return count;
}

TokenizerReport make_tokenizer_report(const std::string& name, const Tokenizer& tokenizer,
                                      const TextsByLanguage& texts,
                                      const std::vector<std::string>& sentences, int threads) {
  TokenizerReport report;
  report.name = name;
  report.kind = tokenizer.kind;
  report.pieces = tokenizer.size();
  const std::vector<PieceFacts> facts = facts_of(tokenizer);
  for (const auto& [language, lines] : texts) {
    report.languages[language] = measure(tokenizer, facts, lines, threads);
  }
  for (std::size_t id = 0; id < facts.size(); ++id) {
    const PieceFacts& piece = facts[id];
    const bool special = tokenizer.is_special(static_cast<TokenId>(id)) || piece.is_unknown;
    if (piece.bytes.empty()) continue;
    ++report.pieces_by_script[special         ? "special"
                              : piece.is_byte ? "bytes"
                                              : script_of(piece.bytes)];
  }
  for (const std::string& sentence : sentences) {
    CutSentence cut;
    const Tokenizer::EncodeOptions options{.add_special_tokens = false,
                                           .parse_special_tokens = false};
    for (const TokenId id : tokenizer.encode(sentence, options)) {
      cut.push_back(facts[static_cast<std::size_t>(id)].bytes);
    }
    report.examples.push_back(std::move(cut));
  }
  return report;
}

const std::vector<std::string>& example_sentences() {
  static const std::vector<std::string> sentences{
      "All human beings are born free and equal in dignity and rights.",
      "人人生而自由，在尊严和权利上一律平等。",
      "すべての人間は、生まれながらにして自由であり、かつ、尊厳と権利とについて平等である。",
      "모든 인간은 태어날 때부터 자유로우며 그 존엄과 권리에 있어 동등하다."};
  return sentences;
}

}  // namespace tigerbot
