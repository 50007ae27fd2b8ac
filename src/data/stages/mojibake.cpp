#include "data/stages/mojibake.h"

#include <array>
#include <cstring>
#include <vector>

#include "data/stages/characters.h"

namespace tigerbot::data {
namespace {

/// Windows-1252's 0x80 to 0x9F; 0 where it has no character.
constexpr std::array<char32_t, 32> kWindows1252 = {
    0x20AC, 0,      0x201A, 0x0192, 0x201E, 0x2026, 0x2020, 0x2021, 0x02C6, 0x2030, 0x0160,
    0x2039, 0x0152, 0,      0x017D, 0,      0,      0x2018, 0x2019, 0x201C, 0x201D, 0x2022,
    0x2013, 0x2014, 0x02DC, 0x2122, 0x0161, 0x203A, 0x0153, 0,      0x017E, 0x0178};

/// The byte that Latin-1 or Windows-1252 reads as `c`; -1 for other characters and ASCII.
int byte_of(char32_t c) {
  if (c >= 0x80 && c <= 0xFF) return static_cast<int>(c);
  if (c < 0x152) return -1;
  for (std::size_t k = 0; k < kWindows1252.size(); ++k)
    if (kWindows1252[k] == c) return static_cast<int>(0x80 + k);
  return -1;
}

struct Item {
  std::size_t begin, end;  // bytes of the line
  int byte;                // -1: no character of those encodings past ASCII
};

/// Length in items of the UTF-8 sequence that starts at `at`, 0 if there is none; its character.
std::size_t sequence_at(const std::vector<Item>& items, std::size_t at, char32_t& character) {
  std::string bytes;
  for (std::size_t k = at; k < items.size() && k < at + 4 && items[k].byte >= 0x80; ++k)
    bytes += static_cast<char>(items[k].byte);
  if (bytes.size() < 2) return 0;
  const Utf8Step step = decode_utf8(bytes, 0);
  if (!step.valid || step.length < 2) return 0;
  // A wrong reading gives characters that nobody writes: controls, private use, unassigned.
  const CharacterClass kind = class_of(character_classes(), step.code_point);
  const bool written = (kind & (kLetter | kDigit | kPunctuation | kSymbol | kSpace)) != 0;
  if (!written && step.code_point != 0xFEFF && step.code_point != 0x200B) return 0;
  character = step.code_point;
  return step.length;
}

/// Sequences whose wrong reading stands in no real text.
bool unmistakable(const std::vector<Item>& items, std::size_t at, std::size_t length,
                  char32_t character) {
  const int first = items[at].byte, second = items[at + 1].byte;
  if (length >= 3) {
    // General punctuation, kana, Han, Hangul, full-width forms, emoji.
    return first == 0xE2 ? (second == 0x80 || second == 0x84) : character >= 0x3000;
  }
  if (first != 0xC2 && first != 0xC3) return false;
  // Quotation marks, dashes and the like may follow a letter; the others do not.
  constexpr std::string_view kFollowers =
      "\x82\x84\x85\x8b\x91\x92\x93\x94\x95\x96\x97\x99\x9b\xa0\xab\xbb";
  return kFollowers.find(static_cast<char>(second)) == std::string_view::npos;
}

/// Appends `line`, repaired where it is sure; true if anything changed.
bool repair_line(std::string_view line, std::string& out) {
  std::vector<Item> items;
  const unsigned char* const begin = bytes_of(line);
  const unsigned char* const end = begin + line.size();
  for (const unsigned char* at = begin; at < end;) {
    const unsigned char* const start = at;
    const char32_t c = next_character(at, end);
    items.push_back({static_cast<std::size_t>(start - begin), static_cast<std::size_t>(at - begin),
                     byte_of(c)});
  }
  std::size_t sequences = 0, sure = 0, stray = 0;
  char32_t character = 0;
  for (std::size_t k = 0; k < items.size();) {
    if (items[k].byte < 0) {
      ++k;
      continue;
    }
    const std::size_t length = sequence_at(items, k, character);
    if (length == 0) {
      ++stray;
      ++k;
      continue;
    }
    ++sequences;
    sure += unmistakable(items, k, length, character);
    k += length;
  }
  const bool whole = stray == 0 && (sequences >= 2 || sure >= 1);
  if (!whole && sure == 0) {
    out += line;
    return false;
  }
  for (std::size_t k = 0; k < items.size();) {
    const std::size_t length = items[k].byte < 0 ? 0 : sequence_at(items, k, character);
    if (length > 0 && (whole || unmistakable(items, k, length, character))) {
      append_utf8(out, character);
      k += length;
    } else {
      out += line.substr(items[k].begin, items[k].end - items[k].begin);
      ++k;
    }
  }
  return true;
}

/// One round; the empty string if nothing changed. Every wrong reading has a lead byte's character
/// in U+00C2 to U+00F4, which UTF-8 writes with the byte 0xC3; lines without it cost one memchr.
std::string repair_once(std::string_view text) {
  std::string out;
  bool changed = false;
  std::size_t copied = 0;
  for (std::size_t search = 0; search < text.size();) {
    const void* hit = nullptr;
    // U+00C2 is C3 82; all others are C3 too.
    hit = std::memchr(text.data() + search, 0xC3, text.size() - search);
    if (hit == nullptr) break;
    const std::size_t at = static_cast<std::size_t>(static_cast<const char*>(hit) - text.data());
    const std::size_t before = at == 0 ? std::string_view::npos : text.rfind('\n', at - 1);
    const std::size_t line_begin = before == std::string_view::npos ? 0 : before + 1;
    const std::size_t line_end = std::min(text.find('\n', at), text.size());
    // Without a continuation right behind the lead anywhere, the line is in order.
    bool suspect = false;
    for (std::size_t k = at; k + 2 < line_end && !suspect; ++k) {
      if (static_cast<unsigned char>(text[k]) != 0xC3) continue;
      const auto next = static_cast<unsigned char>(text[k + 2]);
      suspect = next >= 0xC2 && next <= 0xE2;
    }
    if (suspect) {
      out += text.substr(copied, line_begin - copied);
      changed |= repair_line(text.substr(line_begin, line_end - line_begin), out);
      copied = line_end;
    }
    search = line_end;
  }
  if (!changed) return {};
  out += text.substr(copied);
  return out;
}

}  // namespace

std::string repair_mojibake(std::string_view text) {
  std::string repaired = repair_once(text);
  for (int round = 1; round < 3 && !repaired.empty(); ++round) {
    std::string again = repair_once(repaired);
    if (again.empty()) break;
    repaired = std::move(again);
  }
  return repaired;
}

}  // namespace tigerbot::data
