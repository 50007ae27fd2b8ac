#include <unicode/brkiter.h>
#include <unicode/utext.h>

#include "base/error.h"
#include "tokenizer/normalizer_parts.h"
#include "tokenizer/precompiled_charsmap.h"
#include "tokenizer/scratch_pool.h"
#include "tokenizer/utf8.h"

namespace tigerbot {
namespace {

// Finds grapheme clusters (UAX #29). ICU's iterator is not for two threads at once.
struct Graphemes {
  Graphemes() {
    UErrorCode error = U_ZERO_ERROR;
    iterator.reset(icu::BreakIterator::createCharacterInstance(icu::Locale::getRoot(), error));
    if (U_FAILURE(error)) fail_internal("ICU has no break rules: {}", u_errorName(error));
  }
  ~Graphemes() {
    if (text) utext_close(text);
  }
  Graphemes(const Graphemes&) = delete;
  Graphemes& operator=(const Graphemes&) = delete;

  void set(std::string_view bytes) {
    UErrorCode error = U_ZERO_ERROR;
    text = utext_openUTF8(text, bytes.data(), static_cast<std::int64_t>(bytes.size()), &error);
    iterator->setText(text, error);
    if (U_FAILURE(error)) fail_internal("ICU cannot find graphemes: {}", u_errorName(error));
  }

  std::unique_ptr<icu::BreakIterator> iterator;
  UText* text = nullptr;
};

class Precompiled final : public Normalizer {
 public:
  Precompiled(std::string_view blob, const std::string& where) : charsmap_(blob, where) {}

  std::string normalize(std::string_view text) const override {
    if (charsmap_.empty()) return std::string(text);
    std::string result;
    result.reserve(text.size() + text.size() / 8);
    for (std::size_t at = 0; at < text.size();) {
      // An ASCII character before another one is a grapheme by itself, but for CR LF.
      if (is_ascii(text, at) && (at + 1 == text.size() || is_ascii(text, at + 1)) &&
          text[at] != '\r') {
        append_part(text.substr(at, 1), result);
        ++at;
        continue;
      }
      std::size_t end = at + 1;
      while (end < text.size() && !(is_ascii(text, end - 1) && is_ascii(text, end) &&
                                    !(text[end - 1] == '\r' && text[end] == '\n'))) {
        ++end;
      }
      append_graphemes(text.substr(at, end - at), result);
      at = end;
    }
    return result;
  }
  bool keeps(std::string_view text) const override { return charsmap_.empty() || text.empty(); }

 private:
  static bool is_ascii(std::string_view text, std::size_t at) {
    return static_cast<unsigned char>(text[at]) < 0x80;
  }

  void append_graphemes(std::string_view text, std::string& result) const {
    const auto graphemes = graphemes_.borrow();
    graphemes->set(text);
    std::int32_t begin = graphemes->iterator->first();
    for (std::int32_t end = graphemes->iterator->next(); end != icu::BreakIterator::DONE;
         end = graphemes->iterator->next()) {
      append_grapheme(text.substr(begin, end - begin), result);
      begin = end;
    }
  }

  void append_grapheme(std::string_view grapheme, std::string& result) const {
    if (grapheme.size() < 6) {
      const auto match = charsmap_.shortest_match(grapheme);
      if (match.length > 0) {
        result += match.replacement;
        return;
      }
    }
    for (std::size_t at = 0; at < grapheme.size();) {
      const std::size_t length = utf8_length(static_cast<unsigned char>(grapheme[at]));
      append_part(grapheme.substr(at, length), result);
      at += length;
    }
  }

  void append_part(std::string_view character, std::string& result) const {
    const auto match = charsmap_.shortest_match(character);
    result += match.length > 0 ? match.replacement : character;
  }

  PrecompiledCharsmap charsmap_;
  mutable ScratchPool<Graphemes> graphemes_;
};

}  // namespace

std::unique_ptr<Normalizer> make_precompiled_normalizer(std::string_view blob,
                                                        const std::string& where) {
  return std::make_unique<Precompiled>(blob, where);
}

}  // namespace tigerbot
