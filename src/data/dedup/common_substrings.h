#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "data/dedup/bit_edit_distance.h"

namespace tigerbot::data {

/// Decides how much of one text stands in another. The longest common substrings are found one
/// after another, as LZ77 does: at each place of `a` the longest piece of `b` that begins there,
/// found by an index of b's shingles, is taken and passed over; so the work grows with the lengths
/// and not with their product. Those that follow each other in the same order in both texts, the
/// heaviest such chain, count, and so do long ones outside it: a moved paragraph. Between two links
/// of the chain, a stretch that is mostly the same by its edit distance counts by what is the same.
///
/// Not safe for several threads: it keeps its memory between calls.
class SubstringSimilarity {
 public:
  /// Share of the longer text's letters that are explained, 0 to 1. `a` and `b` are letters
  /// (folded_text.h).
  double operator()(std::u16string_view a, std::u16string_view b);

 private:
  struct Match {
    std::size_t a, b, length;
    std::size_t a_end() const { return a + length; }
    std::size_t b_end() const { return b + length; }
  };
  void index(std::u16string_view text);
  void find_matches(std::u16string_view a, std::u16string_view b);
  void split_chain(std::u16string_view a);
  std::size_t explained(std::u16string_view a, std::u16string_view b);
  std::size_t moved_letters();

  BitEditDistance edit_distance_;
  std::vector<std::uint32_t> heads_, next_;
  std::vector<Match> matches_, chain_, moved_;
  std::size_t step_ = 1;
};

}  // namespace tigerbot::data
