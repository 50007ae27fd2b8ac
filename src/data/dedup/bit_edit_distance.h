#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

namespace tigerbot::data {

/// Levenshtein's distance by bit vectors, 64 letters a step (Myers 1999, "A fast bit-vector
/// algorithm for approximate string matching"; Hyyrö 2003 for several words). Time
/// |a|/64 * |b|. Not safe for several threads: it keeps its memory between calls.
class BitEditDistance {
 public:
  std::size_t operator()(std::u16string_view a, std::u16string_view b);

 private:
  std::vector<std::uint64_t> masks_, plus_, minus_;
  std::vector<std::uint16_t> slots_;  // by hash of the letter: its number among a's, from 1
  std::vector<char16_t> letters_;
};

}  // namespace tigerbot::data
