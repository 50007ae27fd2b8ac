#include "tokenizer/scanner.h"

#include <array>
#include <bit>
#include <cstdint>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include "tokenizer/unicode_classes.h"

namespace tigerbot {
namespace {

using character::kBloomStop;
using character::kLetter;
using character::kNewline;
using character::kNumber;
using character::kNumeric;
using character::kSpace;

// A read position in valid UTF-8.
class Reader {
 public:
  Reader(std::string_view text) : text_(text), classes_(CharacterClasses::get()) {}

  bool at_end(std::size_t position) const { return position >= text_.size(); }
  char byte(std::size_t position) const { return text_[position]; }
  // The byte there, or NUL past the end.
  char peek(std::size_t position) const { return position < text_.size() ? text_[position] : '\0'; }

  struct Class {
    std::uint8_t bits;
    std::uint32_t length;
  };
  Class at(std::size_t position) const {
    const auto first = static_cast<unsigned char>(text_[position]);
    if (first < 0x80) return {classes_.ascii(first), 1};
    const ValidCharacter decoded = decode_valid_utf8(text_, position);
    return {classes_[decoded.code_point], decoded.length};
  }
  // The end of the run of characters from `position` that have one of `any` (or, inverted, none).
  template <bool kInvert = false>
  std::size_t skip(std::size_t position, std::uint8_t any) const {
    while (position < text_.size()) {
      const Class here = at(position);
      if (((here.bits & any) != 0) == kInvert) break;
      position += here.length;
    }
    return position;
  }
  // The same for letters, sixteen at a time while they are ASCII.
  std::size_t skip_letters(std::size_t position) const {
#ifdef __SSE2__
    while (text_.size() - position >= 16) {
      const __m128i bytes =
          _mm_loadu_si128(reinterpret_cast<const __m128i*>(text_.data() + position));
      const __m128i from_a =
          _mm_sub_epi8(_mm_or_si128(bytes, _mm_set1_epi8(0x20)), _mm_set1_epi8('a'));
      const __m128i is_letter = _mm_cmpeq_epi8(_mm_min_epu8(from_a, _mm_set1_epi8(25)), from_a);
      const auto others = static_cast<unsigned>(_mm_movemask_epi8(is_letter)) ^ 0xFFFFu;
      if (others == 0) {
        position += 16;
        continue;
      }
      position += static_cast<std::size_t>(std::countr_zero(others));
      if (static_cast<unsigned char>(text_[position]) < 0x80) return position;
      do {
        const Class here = at(position);
        if (!(here.bits & kLetter)) return position;
        position += here.length;
        if (position >= text_.size()) return position;
      } while (static_cast<unsigned char>(text_[position]) >= 0x80);
    }
#endif
    return skip(position, kLetter);
  }

 private:
  std::string_view text_;
  const CharacterClasses& classes_;
};

// The length of 's, 't, 'm, 'd, 're, 've or 'll at an apostrophe, else 0.
std::size_t contraction(const Reader& reader, std::size_t position) {
  switch (reader.peek(position + 1)) {
    case 's':
    case 't':
    case 'm':
    case 'd':
      return 2;
    case 'r':
    case 'v':
      return reader.peek(position + 2) == 'e' ? 3 : 0;
    case 'l':
      return reader.peek(position + 2) == 'l' ? 3 : 0;
    default:
      return 0;
  }
}

// The same in any case; a long s (U+017F) folds to s.
std::size_t contraction_any_case(const Reader& reader, std::size_t position) {
  const auto lower = [&](std::size_t at) {
    const char byte = reader.peek(at);
    return byte >= 'A' && byte <= 'Z' ? static_cast<char>(byte | 0x20) : byte;
  };
  switch (lower(position + 1)) {
    case 's':
    case 't':
    case 'm':
    case 'd':
      return 2;
    case 'r':
    case 'v':
      return lower(position + 2) == 'e' ? 3 : 0;
    case 'l':
      return lower(position + 2) == 'l' ? 3 : 0;
    case '\xC5':
      return reader.peek(position + 2) == '\xBF' ? 3 : 0;
    default:
      return 0;
  }
}

// \s+(?!\S)|\s+ on a run of white space [begin, end): the last character of a longer run is left
// for what follows, unless nothing follows.
std::size_t space_piece(const Reader& reader, std::size_t begin, std::size_t end,
                        bool text_follows) {
  if (!text_follows) return end;
  std::size_t last = end - 1;
  while ((static_cast<unsigned char>(reader.byte(last)) & 0xC0) == 0x80) --last;
  return last == begin ? end : last;
}

template <bool kDigits>
std::size_t gpt2_piece(const Reader& reader, std::size_t begin) {
  constexpr std::uint8_t kNumbers = kDigits ? kNumeric : kNumber;
  const char byte = reader.byte(begin);
  if (byte == '\'') {
    if (const std::size_t length = contraction(reader, begin)) return begin + length;
  }
  std::size_t word = begin;
  if (byte == ' ') {
    if (reader.at_end(++word)) return word;
  }
  const Reader::Class first = reader.at(word);
  if (first.bits & kLetter) return reader.skip_letters(word + first.length);
  if (!(first.bits & (kSpace | kNumbers))) {
    return reader.skip<true>(word + first.length, kSpace | kLetter | kNumbers);
  }
  if (first.bits & kNumbers) {
    if constexpr (kDigits) {
      return word == begin ? word + first.length : word;  // a space before a digit stands alone
    }
    return reader.skip(word + first.length, kNumber);
  }
  const std::size_t end = reader.skip(word + (word == begin ? first.length : 0), kSpace);
  const bool text_follows = !reader.at_end(end) && !(kDigits && (reader.at(end).bits & kNumeric));
  return space_piece(reader, begin, end, text_follows);
}

template <std::size_t kNumberGroup>
std::size_t llama3_piece(const Reader& reader, std::size_t begin) {
  const char byte = reader.byte(begin);
  if (byte == '\'') {
    if (const std::size_t length = contraction_any_case(reader, begin)) return begin + length;
  }
  const Reader::Class first = reader.at(begin);
  const std::size_t second = begin + first.length;
  if (first.bits & kLetter) return reader.skip_letters(second);
  if (first.bits & kNumber) {
    std::size_t end = second;
    for (std::size_t count = 1; count < kNumberGroup && !reader.at_end(end); ++count) {
      const Reader::Class next = reader.at(end);
      if (!(next.bits & kNumber)) break;
      end += next.length;
    }
    return end;
  }
  Reader::Class next{0, 0};
  if (!reader.at_end(second)) {
    next = reader.at(second);
    if ((next.bits & kLetter) && !(first.bits & kNewline)) {
      return reader.skip_letters(second + next.length);
    }
  }
  std::size_t symbols = begin;
  if (!(first.bits & kSpace)) {
    symbols = second;
  } else if (byte == ' ' && next.length != 0 && !(next.bits & (kSpace | kNumber | kLetter))) {
    symbols = second + next.length;
  }
  if (symbols != begin) {
    std::size_t end = reader.skip<true>(symbols, kSpace | kLetter | kNumber);
    while (reader.peek(end) == '\r' || reader.peek(end) == '\n') ++end;
    return end;
  }
  const std::size_t end = reader.skip(begin, kSpace);
  for (std::size_t last = end; last > begin; --last) {
    if (reader.byte(last - 1) == '\n' || reader.byte(last - 1) == '\r') return last;
  }
  return space_piece(reader, begin, end, !reader.at_end(end));
}

std::size_t bloom_piece(const Reader& reader, std::size_t begin) {
  std::size_t word = begin;
  if (reader.byte(begin) == ' ' && !reader.at_end(begin + 1)) ++word;
  if (!(reader.at(word).bits & kBloomStop)) return reader.skip<true>(word, kBloomStop);
  // Between matches: as far as the next one, which takes a space before it along.
  const std::size_t end = reader.skip(begin, kBloomStop);
  return !reader.at_end(end) && reader.byte(end - 1) == ' ' && end - 1 > begin ? end - 1 : end;
}

template <std::size_t (*piece)(const Reader&, std::size_t)>
std::size_t scan(std::string_view text, std::size_t begin, std::span<std::size_t> ends) {
  const Reader reader(text);
  std::size_t count = 0;
  while (count < ends.size() && begin < text.size()) {
    begin = piece(reader, begin);
    ends[count++] = begin;
  }
  return count;
}

bool is_ascii_letter(char byte) { return (byte | 0x20) >= 'a' && (byte | 0x20) <= 'z'; }

}  // namespace

std::size_t scan_words(ScannerKind kind, std::string_view text, std::size_t begin,
                       std::span<std::size_t> ends) {
  switch (kind) {
    case ScannerKind::kGpt2:
      return scan<gpt2_piece<false>>(text, begin, ends);
    case ScannerKind::kGpt2Digits:
      return scan<gpt2_piece<true>>(text, begin, ends);
    case ScannerKind::kLlama3:
      return scan<llama3_piece<3>>(text, begin, ends);
    case ScannerKind::kQwen2:
      return scan<llama3_piece<1>>(text, begin, ends);
    case ScannerKind::kBloom:
      return scan<bloom_piece>(text, begin, ends);
  }
  return 0;
}

std::size_t find_safe_split(std::string_view text, std::size_t position) {
  for (std::size_t i = position; i + 1 < text.size(); ++i) {
    if (text[i + 1] == ' ' && is_ascii_letter(text[i])) return i + 1;
  }
  return text.size();
}

std::optional<ScannerKind> scanner_of_pattern(std::string_view pattern) {
  if (pattern == R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)") {
    return ScannerKind::kGpt2;
  }
  if (pattern ==
      R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)") {
    return ScannerKind::kLlama3;
  }
  if (pattern ==
      R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)") {
    return ScannerKind::kQwen2;
  }
  if (pattern == R"( ?[^(\s|[.,!?…。，、।۔،])]+)") return ScannerKind::kBloom;
  return std::nullopt;
}

}  // namespace tigerbot
