#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

/// Long n-grams that a text shares with others, whatever their case, width, spaces and punctuation.
namespace tigerbot::data {

/// How long an n-gram is: so many words, or so many ideographs and kana (which stand without spaces
/// between words); in mixed text a run that makes up as much.
struct OverlapLength {
  int words = 13;
  int characters = 25;
};

/// A word (of a script with spaces between words) or one ideograph or kana.
struct OverlapToken {
  std::uint64_t hash;
  std::uint32_t begin, end;  ///< bytes in the text
  std::int32_t weight;       ///< OverlapLength::characters of a word, ::words of a character
};

std::vector<OverlapToken> overlap_tokens(std::string_view text, const OverlapLength& length);

/// The n-grams of protected rows. Sixteen bytes an n-gram, up to 24 while it grows. Filled by
/// add(), then finish()ed; find() may be called from many threads.
class OverlapIndex {
 public:
  explicit OverlapIndex(const OverlapLength& length) : length_(length) {}

  /// One text of row `row` of set `set`; whether it is long enough to have an n-gram.
  bool add(std::string_view text, std::uint32_t set, std::uint32_t row);
  /// Ends the filling. N-grams of more than `common_rows` rows are taken for a form ("choose the
  /// right answer ...") and forgotten.
  void finish(int common_rows);
  std::size_t size() const { return entries_.size(); }

  /// A stretch of a text in which every n-gram stands in a protected row.
  struct Hit {
    std::size_t begin, end;  ///< bytes in the text
    std::uint32_t set, row;  ///< of its first n-gram
  };
  /// The stretches, in order, not overlapping.
  std::vector<Hit> find(std::string_view text) const;

 private:
  struct Entry {
    std::uint64_t hash;
    std::uint32_t set, row;
  };
  const Entry* look_up(std::uint64_t hash) const;

  OverlapLength length_;
  std::vector<Entry> entries_;        // by hash
  std::vector<std::uint32_t> first_;  // by the top bits of the hash: where its entries begin
  int shift_ = 63;
};

}  // namespace tigerbot::data
