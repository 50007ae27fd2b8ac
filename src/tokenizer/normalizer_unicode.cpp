#include <unicode/bytestream.h>
#include <unicode/normalizer2.h>
#include <unicode/stringpiece.h>
#include <unicode/uchar.h>
#include <unicode/uniset.h>
#include <unicode/uversion.h>

#include <algorithm>
#include <array>
#include <utility>

#include "base/error.h"
#include "tokenizer/normalizer_parts.h"
#include "tokenizer/utf8.h"

namespace tigerbot {
namespace {

bool is_ascii(std::string_view text) {
  return std::all_of(text.begin(), text.end(),
                     [](char c) { return static_cast<unsigned char>(c) < 0x80; });
}

// Writes f(code point, text) for each character of `text`.
template <typename Rewrite>
std::string rewrite(std::string_view text, Rewrite f) {
  std::string result;
  result.reserve(text.size() + text.size() / 8);
  for (std::size_t at = 0; at < text.size();) {
    const DecodedChar c = next_code_point(text, at);
    f(c.code_point, result);
    at += c.length;
  }
  return result;
}

// True if Unicode had the character in this version already.
bool is_in_unicode(char32_t c, int version) {
  UVersionInfo age;
  u_charAge(static_cast<UChar32>(c), age);
  return age[0] != 0 && age[0] <= version;
}

const icu::Normalizer2& icu_form(UnicodeForm form) {
  UErrorCode error = U_ZERO_ERROR;
  const icu::Normalizer2* instance = nullptr;
  switch (form) {
    case UnicodeForm::kNfc:
      instance = icu::Normalizer2::getNFCInstance(error);
      break;
    case UnicodeForm::kNfd:
      instance = icu::Normalizer2::getNFDInstance(error);
      break;
    case UnicodeForm::kNfkc:
      instance = icu::Normalizer2::getNFKCInstance(error);
      break;
    case UnicodeForm::kNfkd:
      instance = icu::Normalizer2::getNFKDInstance(error);
      break;
  }
  if (U_FAILURE(error)) fail_internal("ICU has no normalization data: {}", u_errorName(error));
  return *instance;
}

// A normalization form as Unicode 9 had it: later characters are left as they are.
class UnicodeNormalizer final : public Normalizer {
 public:
  explicit UnicodeNormalizer(UnicodeForm form)
      : known_(make_known()), icu_(icu_form(form), known_) {}

  std::string normalize(std::string_view text) const override {
    UErrorCode error = U_ZERO_ERROR;
    std::string result;
    icu::StringByteSink<std::string> sink(&result, static_cast<std::int32_t>(text.size()));
    icu_.normalizeUTF8(0, piece(text), sink, nullptr, error);
    if (U_FAILURE(error)) fail_internal("ICU cannot normalize: {}", u_errorName(error));
    return result;
  }

  bool keeps(std::string_view text) const override {
    if (is_ascii(text)) return true;
    UErrorCode error = U_ZERO_ERROR;
    return icu_.isNormalizedUTF8(piece(text), error) && U_SUCCESS(error);
  }

 private:
  static icu::StringPiece piece(std::string_view text) {
    if (text.size() > 0x7FFFFFFF) fail("text of {} bytes is too long to normalize", text.size());
    return {text.data(), static_cast<std::int32_t>(text.size())};
  }
  static icu::UnicodeSet make_known() {
    UErrorCode error = U_ZERO_ERROR;
    icu::UnicodeSet set(icu::UnicodeString("[:age=9.0:]"), error);
    if (U_FAILURE(error)) fail_internal("ICU has no ages of characters: {}", u_errorName(error));
    set.freeze();
    return set;
  }

  icu::UnicodeSet known_;
  icu::FilteredNormalizer2 icu_;
};

// Rust's char::to_lowercase: Unicode 17, without context. ICU of the supported systems is older;
// what came later is listed.
void append_lowercase(char32_t c, std::string& text) {
  if (c == 0x130) {
    text += "i\xCC\x87";
    return;
  }
  static constexpr std::array<std::pair<char32_t, char32_t>, 8> kLater = {{{0x1C89, 0x1C8A},
                                                                           {0xA7CB, 0x0264},
                                                                           {0xA7CC, 0xA7CD},
                                                                           {0xA7CE, 0xA7CF},
                                                                           {0xA7D2, 0xA7D3},
                                                                           {0xA7D4, 0xA7D5},
                                                                           {0xA7DA, 0xA7DB},
                                                                           {0xA7DC, 0x019B}}};
  char32_t lower = static_cast<char32_t>(u_tolower(static_cast<UChar32>(c)));
  if (lower == c && c >= 0x1C89) {
    for (const auto& [from, to] : kLater) {
      if (c == from) lower = to;
    }
    if (c >= 0x10D50 && c <= 0x10D65) lower = c + 0x20;
    if (c >= 0x16EA0 && c <= 0x16EB8) lower = c + 0x1B;
  }
  append_utf8(text, lower);
}

std::string lowercase(std::string_view text) {
  return rewrite(text, [](char32_t c, std::string& result) {
    if (c < 0x80) {
      result += static_cast<char>(c >= 'A' && c <= 'Z' ? c + 32 : c);
    } else {
      append_lowercase(c, result);
    }
  });
}

bool is_lower_ascii(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) {
    return static_cast<unsigned char>(c) < 0x80 && !(c >= 'A' && c <= 'Z');
  });
}

class Lowercase final : public Normalizer {
 public:
  std::string normalize(std::string_view text) const override { return lowercase(text); }
  bool keeps(std::string_view text) const override { return is_lower_ascii(text); }
};

// General category M in Unicode 9.
bool is_mark(char32_t c) {
  if (c < 0x300) return false;
  if (c == 0x1CF2 || c == 0x1CF3) return true;  // became letters later
  if (c == 0x111C9) return false;               // became a mark later
  return (U_GET_GC_MASK(static_cast<UChar32>(c)) & U_GC_M_MASK) != 0 && is_in_unicode(c, 9);
}

class StripAccents final : public Normalizer {
 public:
  std::string normalize(std::string_view text) const override {
    return rewrite(text, [](char32_t c, std::string& result) {
      if (!is_mark(c)) append_utf8(result, c);
    });
  }
  bool keeps(std::string_view text) const override { return is_ascii(text); }
};

class Nmt final : public Normalizer {
 public:
  std::string normalize(std::string_view text) const override {
    return rewrite(text, [](char32_t c, std::string& result) {
      if (is_removed(c)) return;
      append_utf8(result, is_space(c) ? U' ' : c);
    });
  }

 private:
  static bool is_removed(char32_t c) {
    return (c >= 0x01 && c <= 0x08) || c == 0x0B || (c >= 0x0E && c <= 0x1F) || c == 0x7F ||
           c == 0x8F || c == 0x9F;
  }
  static bool is_space(char32_t c) {
    return c == 0x09 || c == 0x0A || c == 0x0C || c == 0x0D || c == 0x1680 ||
           (c >= 0x200B && c <= 0x200F) || c == 0x2028 || c == 0x2029 || c == 0x2581 ||
           c == 0xFEFF || c == 0xFFFD;
  }
};

class Strip final : public Normalizer {
 public:
  Strip(bool left, bool right) : left_(left), right_(right) {}
  std::string normalize(std::string_view text) const override {
    std::size_t begin = 0, end = text.size();
    while (left_ && begin < end) {
      const DecodedChar c = next_code_point(text, begin);
      if (!u_isUWhiteSpace(static_cast<UChar32>(c.code_point))) break;
      begin += c.length;
    }
    while (right_ && end > begin) {
      std::size_t last = end - 1;
      while (last > begin && (static_cast<unsigned char>(text[last]) & 0xC0) == 0x80) --last;
      if (!u_isUWhiteSpace(static_cast<UChar32>(next_code_point(text, last).code_point))) break;
      end = last;
    }
    return std::string(text.substr(begin, end - begin));
  }

 private:
  bool left_, right_;
};

// BERT's rules, with the categories of Unicode 8.
class BertNormalizer final : public Normalizer {
 public:
  explicit BertNormalizer(const BertNormalizerOptions& options)
      : options_(options), decompose_(UnicodeForm::kNfd) {}

  std::string normalize(std::string_view input) const override {
    std::string text = options_.clean_text ? clean(input) : std::string(input);
    if (is_ascii(text)) return options_.lowercase ? lowercase(text) : text;
    if (options_.handle_chinese_chars) {
      text = rewrite(text, [](char32_t c, std::string& result) {
        const bool chinese = is_chinese(c);
        if (chinese) result += ' ';
        append_utf8(result, c);
        if (chinese) result += ' ';
      });
    }
    if (options_.strip_accents) {
      if (!decompose_.keeps(text)) text = decompose_.normalize(text);
      text = rewrite(text, [](char32_t c, std::string& result) {
        if (!is_nonspacing_mark(c)) append_utf8(result, c);
      });
    }
    return options_.lowercase ? lowercase(text) : text;
  }

 private:
  static std::string clean(std::string_view text) {
    return rewrite(text, [](char32_t c, std::string& result) {
      if (c == '\t' || c == '\n' || c == '\r') {
        result += ' ';
      } else if (c != 0 && c != 0xFFFD && !is_other(c)) {
        append_utf8(result, c != ' ' && u_isUWhiteSpace(static_cast<UChar32>(c)) ? U' ' : c);
      }
    });
  }
  // Control, format and private-use characters; unassigned ones stay.
  static bool is_other(char32_t c) {
    if (c < 0x7F) return c < 0x20;
    switch (u_charType(static_cast<UChar32>(c))) {
      case U_CONTROL_CHAR:
      case U_PRIVATE_USE_CHAR:
        return true;
      case U_FORMAT_CHAR:
        return is_in_unicode(c, 8);
      default:
        return false;
    }
  }
  static bool is_nonspacing_mark(char32_t c) {
    if (c < 0x300) return false;
    switch (c) {  // whose category changed after Unicode 8
      case 0x1734:
        return true;
      case 0x1885:
      case 0x1886:
      case 0xA9BD:
      case 0x111C9:
        return false;
      default:
        return u_charType(static_cast<UChar32>(c)) == U_NON_SPACING_MARK && is_in_unicode(c, 8);
    }
  }
  static bool is_chinese(char32_t c) {
    return (c >= 0x4E00 && c <= 0x9FFF) || (c >= 0x3400 && c <= 0x4DBF) ||
           (c >= 0x20000 && c <= 0x2A6DF) || (c >= 0x2A700 && c <= 0x2B81F) ||
           (c >= 0x2B920 && c <= 0x2CEAF) || (c >= 0xF900 && c <= 0xFAFF) ||
           (c >= 0x2F800 && c <= 0x2FA1F);
  }

  BertNormalizerOptions options_;
  UnicodeNormalizer decompose_;
};

}  // namespace

std::unique_ptr<Normalizer> make_unicode_normalizer(UnicodeForm form) {
  return std::make_unique<UnicodeNormalizer>(form);
}
std::unique_ptr<Normalizer> make_lowercase_normalizer() { return std::make_unique<Lowercase>(); }
std::unique_ptr<Normalizer> make_strip_accents_normalizer() {
  return std::make_unique<StripAccents>();
}
std::unique_ptr<Normalizer> make_nmt_normalizer() { return std::make_unique<Nmt>(); }
std::unique_ptr<Normalizer> make_strip_normalizer(bool left, bool right) {
  return std::make_unique<Strip>(left, right);
}
std::unique_ptr<Normalizer> make_bert_normalizer(const BertNormalizerOptions& options) {
  return std::make_unique<BertNormalizer>(options);
}

}  // namespace tigerbot
