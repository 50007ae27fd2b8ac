#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

namespace tigerbot::data {

/// Decides how much of one text stands in another. The longest common substrings are found one
/// after another, as LZ77 does: at each place of `a` the longest piece of `b` that begins there,
/// found by an index of b's shingles, is taken and passed over; so the work grows with the lengths
/// and not with their product. Order does not matter to them: a moved paragraph is found. Between
/// two of them that follow each other in both texts, a short stretch whose edit distance says that
/// it is mostly the same counts by what is the same.
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
  };
  void index(std::u16string_view text);
  void find_matches(std::u16string_view a, std::u16string_view b);
  std::size_t explained_gaps(std::u16string_view a, std::u16string_view b);
  std::size_t edit_distance(std::u16string_view a, std::u16string_view b);

  std::vector<std::uint32_t> heads_, next_, row_;
  std::vector<Match> matches_, by_b_;
  std::size_t step_ = 1;
};

}  // namespace tigerbot::data
