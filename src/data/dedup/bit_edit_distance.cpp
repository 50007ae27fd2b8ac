#include "data/dedup/bit_edit_distance.h"

#include <algorithm>
#include <bit>

namespace tigerbot::data {

std::size_t BitEditDistance::operator()(std::u16string_view a, std::u16string_view b) {
  if (a.size() > b.size()) std::swap(a, b);
  if (a.empty()) return b.size();
  const std::size_t words = (a.size() + 63) / 64;
  // For each different letter of `a`, the places where it stands; entry 0 is for all others.
  const std::size_t table = std::bit_ceil(2 * a.size() + 2);
  slots_.assign(table, 0);
  letters_.assign(1, 0);
  masks_.assign(words, 0);
  const auto slot_of = [&](char16_t letter) {
    std::size_t slot = letter * 0x9E37u & (table - 1);
    while (slots_[slot] != 0 && letters_[slots_[slot]] != letter) slot = (slot + 1) & (table - 1);
    return slot;
  };
  for (std::size_t k = 0; k < a.size(); ++k) {
    const std::size_t slot = slot_of(a[k]);
    if (slots_[slot] == 0) {
      slots_[slot] = static_cast<std::uint16_t>(letters_.size());
      letters_.push_back(a[k]);
      masks_.resize(masks_.size() + words, 0);
    }
    masks_[slots_[slot] * words + k / 64] |= std::uint64_t{1} << (k % 64);
  }
  plus_.assign(words, ~std::uint64_t{0});
  minus_.assign(words, 0);
  std::size_t distance = a.size();
  const int last = static_cast<int>((a.size() - 1) % 64);
  for (const char16_t letter : b) {
    const std::uint64_t* equal_words = masks_.data() + slots_[slot_of(letter)] * words;
    // The row above the first is 0, 1, 2, ...: every column comes in with +1.
    std::uint64_t carry_plus = 1, carry_minus = 0;
    for (std::size_t w = 0; w < words; ++w) {
      const std::uint64_t plus = plus_[w], minus = minus_[w];
      std::uint64_t equal = equal_words[w];
      const std::uint64_t vertical = equal | minus;
      equal |= carry_minus;
      const std::uint64_t horizontal = (((equal & plus) + plus) ^ plus) | equal;
      std::uint64_t up = minus | ~(horizontal | plus);
      std::uint64_t down = plus & horizontal;
      const int top = w + 1 == words ? last : 63;
      const std::uint64_t out_plus = up >> top & 1, out_minus = down >> top & 1;
      up = up << 1 | carry_plus;
      down = down << 1 | carry_minus;
      plus_[w] = down | ~(vertical | up);
      minus_[w] = up & vertical;
      carry_plus = out_plus;
      carry_minus = out_minus;
    }
    distance += carry_plus;
    distance -= carry_minus;
  }
  return distance;
}

}  // namespace tigerbot::data
