#include "tokenizer/precompiled_charsmap.h"

#include <cstring>

#include "base/error.h"
#include "base/utf8.h"

namespace tigerbot {
namespace {

// A unit of darts-clone: bits 0-7 the label, bit 8 "a value hangs below", bit 9 scales the offset
// in bits 10-30 by 256, bit 31 marks a value unit.
std::uint32_t label(std::uint32_t unit) { return unit & (0x80000000u | 0xFFu); }
bool has_value(std::uint32_t unit) { return (unit >> 8 & 1) != 0; }
std::uint32_t offset(std::uint32_t unit) { return (unit >> 10) << ((unit & (1u << 9)) >> 6); }
std::uint32_t value(std::uint32_t unit) { return unit & 0x7FFFFFFFu; }

bool is_utf8_continuation(char byte) { return (static_cast<unsigned char>(byte) & 0xC0) == 0x80; }

}  // namespace

PrecompiledCharsmap::PrecompiledCharsmap(std::string_view blob, const std::string& where) {
  if (blob.empty()) return;
  std::uint32_t trie_size = 0;
  if (blob.size() <= sizeof(trie_size)) {
    fail("{}: precompiled_charsmap of {} bytes is too short; the file is damaged", where,
         blob.size());
  }
  std::memcpy(&trie_size, blob.data(), sizeof(trie_size));
  blob.remove_prefix(sizeof(trie_size));
  if (trie_size >= blob.size() || trie_size < 1024 || trie_size % 4 != 0) {
    fail("{}: precompiled_charsmap says its trie has {} bytes, of {}; the file is damaged", where,
         trie_size, blob.size());
  }
  units_.resize(trie_size / 4);
  std::memcpy(units_.data(), blob.data(), trie_size);
  replacements_ = blob.substr(trie_size);
  replacements_ += '\0';
  if (!is_valid_utf8(replacements_)) {
    fail("{}: precompiled_charsmap has replacements that are no UTF-8; the file is damaged", where);
  }
  where_ = where;

  for (int first = 0; first < 256; ++first) {
    const std::size_t at = offset(units_[0]) ^ std::size_t(first);
    if (at >= units_.size() || label(units_[at]) != std::uint32_t(first)) continue;
    begins_[first] = 1;
    alone_[first] = has_value(units_[at]);
    for (int second = 0; second < 128 && first < 128; ++second) {
      const std::size_t next = at ^ offset(units_[at]) ^ std::size_t(second);
      if (next < units_.size() && label(units_[next]) == std::uint32_t(second)) ascii_pairs_ = true;
    }
  }
}

PrecompiledCharsmap::Match PrecompiledCharsmap::match(std::string_view text, bool shortest) const {
  Match best;
  if (units_.empty()) return best;
  std::size_t at = offset(units_[0]);
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    at ^= byte;
    if (at >= units_.size() || label(units_[at]) != byte) break;
    const std::uint32_t unit = units_[at];
    at ^= offset(unit);
    if (has_value(unit)) {
      if (at >= units_.size()) break;
      const std::size_t start = value(units_[at]);
      // What comes out must be UTF-8, whatever the trie says: those after us count on it.
      if (start >= replacements_.size() || is_utf8_continuation(replacements_[start])) {
        fail("{}: precompiled_charsmap has a rule whose replacement begins at byte {} of {}, {}",
             where_, start, replacements_.size(), "where no character begins; the file is damaged");
      }
      best = {i + 1, std::string_view(replacements_.c_str() + start)};
      if (shortest) break;
    }
  }
  return best;
}

}  // namespace tigerbot
