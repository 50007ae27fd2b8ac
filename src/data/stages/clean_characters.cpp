#include "data/stages/clean_characters.h"

#include <unicode/bytestream.h>
#include <unicode/normalizer2.h>

#include "base/error.h"
#include "data/stages/characters.h"

namespace tigerbot::data {
namespace {

struct Found {
  bool work = false, compose = false;
};

/// Whether anything is to be done: one pass that stops at the first reason but for composition.
Found look(std::string_view text, const CleaningOptions& options) {
  const CharacterClass* const classes = character_classes();
  const unsigned char* const end = bytes_of(text) + text.size();
  Found found;
  unsigned char previous = '\n', before = '\n';
  for (const unsigned char* at = bytes_of(text); at < end;) {
    const unsigned char c = *at;
    if (c < 0x80) {
      ++at;
      if (c <= ' ') {
        const bool plain = c == ' ' || c == '\n' || c == '\t';
        if (!plain) {
          found.work = true;
          break;
        }
        if (options.white_space) {
          const bool after_blank = previous == ' ' || previous == '\t';
          const bool run = c == '\n' ? after_blank || (previous == '\n' && before == '\n')
                                     : after_blank || (previous == '\n' && !options.indentation);
          // Indentation is a run too; the slow pass settles it.
          if (run) {
            found.work = true;
            break;
          }
        }
      } else if (c == 0x7F) {
        found.work = true;
        break;
      }
      before = previous;
      previous = c;
      continue;
    }
    const CharacterClass kind = class_of(classes, next_character(at, end));
    found.compose |= (kind & kCompose) != 0;
    if ((kind & kClean) != 0) {
      found.work = true;
      break;
    }
    before = previous;
    previous = 'x';
  }
  if (options.white_space && !text.empty() &&
      (previous == '\n' || previous == ' ' || previous == '\t'))
    found.work = true;
  return found;
}

bool is_line_end(char32_t c) {
  return c == '\n' || c == '\r' || c == 0x0B || c == 0x0C || c == 0x85 || c == 0x2028 ||
         c == 0x2029;
}

/// Punctuation that Chinese and Japanese write full-width.
bool is_wide_punctuation(char32_t c) {
  switch (c) {
    case 0xFF01:  // ！
    case 0xFF08:  // （
    case 0xFF09:  // ）
    case 0xFF0C:  // ，
    case 0xFF0E:  // ．
    case 0xFF1A:  // ：
    case 0xFF1B:  // ；
    case 0xFF1F:  // ？
    case 0xFF3B:  // ［
    case 0xFF3D:  // ］
    case 0xFF5B:  // ｛
    case 0xFF5D:  // ｝
    case 0xFF5E:  // ～
      return true;
    default:
      return false;
  }
}

/// Half-width katakana and punctuation, with their voiced marks, as NFKC has them.
std::string wide_katakana(std::string_view run) {
  UErrorCode status = U_ZERO_ERROR;
  std::string out;
  icu::StringByteSink<std::string> sink(&out);
  icu::Normalizer2::getNFKCInstance(status)->normalizeUTF8(
      0, icu::StringPiece(run.data(), static_cast<std::int32_t>(run.size())), sink, nullptr,
      status);
  return U_SUCCESS(status) ? out : std::string(run);
}

/// The slow pass: rewrites the text line by line.
class Cleaner {
 public:
  Cleaner(std::string_view text, const CleaningOptions& options)
      : begin_(bytes_of(text)), end_(begin_ + text.size()), text_(text), options_(options) {
    out_.reserve(text.size());
  }

  CleaningEdits edits;

  std::string run() {
    const unsigned char* at = begin_;
    while (at < end_) {
      const unsigned char* line_end = at;
      const unsigned char* next = end_;
      char32_t c = 0;
      bool ideographic = false;
      while (line_end < end_) {
        const unsigned char* after = line_end;
        c = next_character(after, end_);
        if (options_.white_space ? is_line_end(c) : c == '\n') {
          next = after;
          break;
        }
        ideographic |= (class_of(classes_, c) & kIdeographic) != 0 && c < 0xFF00;
        line_end = after;
      }
      const bool ended = line_end < end_;
      if (ended && c != '\n') {
        edits.line_ends = true;
        if (c == '\r' && next < end_ && *next == '\n') ++next;
      }
      line(at, line_end, ideographic);
      if (ended) end_line(c);
      at = next;
    }
    finish();
    return std::move(out_);
  }

 private:
  void end_line(char32_t) {
    if (!options_.white_space) {
      out_ += '\n';
      return;
    }
    ++line_feeds_;
  }

  /// Writes the line ends that were held back: at most one empty line, none at the beginning.
  void flush_line_feeds() {
    if (line_feeds_ == 0) return;
    if (out_.empty()) {
      edits.white_space = true;
    } else {
      if (line_feeds_ > 2) edits.white_space = true;
      out_.append(std::min<std::size_t>(line_feeds_, 2), '\n');
    }
    line_feeds_ = 0;
  }

  void finish() {
    if (line_feeds_ > 0) edits.white_space = true;
  }

  /// Writes a pending run of white space inside a line.
  void flush_blanks(bool at_line_start) {
    if (blanks_ == 0) return;
    if (at_line_start) {
      // Only ordinary spaces and tabs are indentation.
      if (options_.indentation && indentation_.size() == blanks_)
        out_ += indentation_;
      else
        edits.white_space = true;
    } else {
      if (blanks_ > 1 || odd_blank_) edits.white_space = true;
      out_ += tab_ ? '\t' : ' ';
    }
    clear_blanks();
  }

  void clear_blanks() {
    blanks_ = 0;
    tab_ = odd_blank_ = false;
    indentation_.clear();
  }

  void begin_content(bool& started) {
    if (options_.white_space) {
      if (!started) flush_line_feeds();
      flush_blanks(!started);
    }
    started = true;
  }

  void line(const unsigned char* at, const unsigned char* line_end, bool ideographic_line) {
    bool started = false;
    char32_t previous = 0;
    while (at < line_end) {
      const unsigned char* const start = at;
      const char32_t c = next_character(at, line_end);
      const CharacterClass kind = class_of(classes_, c);
      if (options_.white_space &&
          (c == ' ' || c == '\t' || ((kind & kSpace) != 0 && !is_line_end(c)))) {
        ++blanks_;
        tab_ |= c == '\t';
        odd_blank_ |= c != ' ' && c != '\t';
        if (c == ' ' || c == '\t') indentation_ += static_cast<char>(c);
        continue;
      }
      if ((kind & kClean) == 0 || c == '\n') {
        begin_content(started);
        out_.append(reinterpret_cast<const char*>(start), static_cast<std::size_t>(at - start));
        previous = c;
        continue;
      }
      if (options_.controls && is_dropped(c, previous)) {
        (c < 0xA0 ? edits.controls : edits.invisible) = true;
        continue;
      }
      begin_content(started);
      if (options_.full_width && c >= 0xFF01 && c <= 0xFF9F) {
        at = wide_form(start, at, line_end, c, previous, ideographic_line);
      } else {
        out_.append(reinterpret_cast<const char*>(start), static_cast<std::size_t>(at - start));
      }
      previous = c;
    }
    if (blanks_ > 0) edits.white_space = true;
    clear_blanks();
  }

  bool is_dropped(char32_t c, char32_t previous) const {
    if (c < 0x20 || (c >= 0x7F && c < 0xA0)) return true;
    const CharacterClass before = class_of(classes_, previous);
    const Script script = script_of(before);
    switch (c) {
      case 0x200C:
      case 0x200D:
        return !(script == Script::kArabic || script == Script::kDevanagari ||
                 script == Script::kOther || (before & kSymbol) != 0 || previous == 0xFE0F);
      case 0x200E:
      case 0x200F:
      case 0x061C:
        return script != Script::kArabic && script != Script::kHebrew;
      case 0x00AD:
      case 0x180E:
      case 0x200B:
      case 0xFEFF:
      case 0xFFFC:
        return true;
      default:
        break;
    }
    if ((c >= 0x202A && c <= 0x202E) || (c >= 0x2060 && c <= 0x206F)) return true;
    if ((c >= 0xFFF0 && c <= 0xFFFB) || (c & 0xFFFE) == 0xFFFE || (c >= 0xFDD0 && c <= 0xFDEF))
      return true;
    return c >= 0xE0000 && c <= 0xE007F;
  }

  /// Writes the ordinary form of a full-width one, or of a run of half-width katakana; returns
  /// where to go on.
  const unsigned char* wide_form(const unsigned char* start, const unsigned char* at,
                                 const unsigned char* line_end, char32_t c, char32_t previous,
                                 bool ideographic_line) {
    if (c >= 0xFF61) {
      while (at < line_end) {
        const unsigned char* after = at;
        const char32_t next = next_character(after, line_end);
        if (next < 0xFF61 || next > 0xFF9F) break;
        at = after;
      }
      out_ += wide_katakana(
          {reinterpret_cast<const char*>(start), static_cast<std::size_t>(at - start)});
      edits.full_width = true;
      return at;
    }
    bool keep = c > 0xFF5E;
    if (!keep && is_wide_punctuation(c)) {
      keep = ideographic_line;
    } else if (!keep && (class_of(classes_, c) & (kLetter | kDigit)) == 0) {
      const unsigned char* peek = at;
      const char32_t next = at < line_end ? next_character(peek, line_end) : 0;
      keep = (class_of(classes_, previous) & kIdeographic) != 0 &&
             (class_of(classes_, next) & kIdeographic) != 0;
    }
    if (keep) {
      out_.append(reinterpret_cast<const char*>(start), static_cast<std::size_t>(at - start));
    } else {
      out_ += static_cast<char>(c - 0xFEE0);
      edits.full_width = true;
    }
    return at;
  }

  const CharacterClass* const classes_ = character_classes();
  const unsigned char* const begin_;
  const unsigned char* const end_;
  const std::string_view text_;
  const CleaningOptions options_;
  std::string out_, indentation_;
  std::size_t line_feeds_ = 0, blanks_ = 0;
  bool tab_ = false, odd_blank_ = false;
};

bool compose(std::string& text) {
  UErrorCode status = U_ZERO_ERROR;
  const icu::Normalizer2* nfc = icu::Normalizer2::getNFCInstance(status);
  std::string out;
  icu::StringByteSink<std::string> sink(&out, static_cast<std::int32_t>(text.size()));
  nfc->normalizeUTF8(0, icu::StringPiece(text.data(), static_cast<std::int32_t>(text.size())), sink,
                     nullptr, status);
  if (U_FAILURE(status)) fail_internal("NFC failed: {}", u_errorName(status));
  if (out == text) return false;
  text = std::move(out);
  return true;
}

}  // namespace

CleaningEdits clean_characters(std::string& text, const CleaningOptions& options) {
  Found found = look(text, options);
  CleaningEdits edits;
  if (found.work) {
    Cleaner cleaner(text, options);
    std::string cleaned = cleaner.run();
    edits = cleaner.edits;
    if (edits.any()) text = std::move(cleaned);
    // look() stopped before it had seen all.
    if (options.compose) {
      const CharacterClass* const classes = character_classes();
      const unsigned char* const end = bytes_of(text) + text.size();
      for (const unsigned char* at = bytes_of(text); at < end && !found.compose;) {
        if (*at < 0x80)
          ++at;
        else
          found.compose = (class_of(classes, next_character(at, end)) & kCompose) != 0;
      }
    }
  }
  if (options.compose && found.compose) edits.composed = compose(text);
  return edits;
}

}  // namespace tigerbot::data
