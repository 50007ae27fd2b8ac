#include "data/dedup/common_substrings.h"

#include <algorithm>
#include <bit>
#include <cstddef>
#include <utility>

#include "data/dedup/sketch.h"

namespace tigerbot::data {
namespace {

/// Positions of `b` that one place of `a` looks at.
constexpr int kChain = 12;
/// Longer texts are indexed at every second, third, ... place.
constexpr std::size_t kIndexed = 1 << 20;
/// Stretches between two matches that are compared letter by letter.
constexpr std::size_t kGap = 640;
/// A common substring outside the chain counts from this weight on: two shingles.
constexpr int kMoved = 2 * kShingleWeight;
/// A match that goes on where the last one stopped, but for a small edit, is preferred to one of
/// this many letters more.
constexpr std::size_t kInOrder = 24;
constexpr std::ptrdiff_t kShift = 48;

std::size_t slot_of(std::uint64_t hash, std::size_t slots) {
  return static_cast<std::size_t>(hash >> 20) & (slots - 1);
}

bool is_moved(std::u16string_view piece) {
  int weight = 0;
  for (std::size_t k = 0; k < piece.size() && weight < kMoved; ++k)
    weight += letter_weight(piece[k]);
  return weight >= kMoved;
}

}  // namespace

void SubstringSimilarity::index(std::u16string_view text) {
  step_ = 1 + text.size() / kIndexed;
  const std::size_t entries = text.size() / step_ + 1;
  heads_.assign(std::bit_ceil(2 * entries), 0);
  next_.resize(entries + 1);
  // Entry k is the shingle that ends at k * step; 0 ends a chain. The last places come first.
  for_each_shingle(text, [&](std::size_t end, std::uint64_t hash) {
    if (end % step_ != 0) return;
    const std::size_t entry = end / step_;
    std::uint32_t& head = heads_[slot_of(hash, heads_.size())];
    next_[entry] = head;
    head = static_cast<std::uint32_t>(entry);
  });
}

void SubstringSimilarity::find_matches(std::u16string_view a, std::u16string_view b) {
  std::size_t done = 0;         // letters of `a` before it are matched or given up
  std::ptrdiff_t diagonal = 0;  // b minus a of the last match
  for_each_shingle(a, [&](std::size_t end, std::uint64_t hash) {
    if (end <= done) return;
    Match best{0, 0, 0};
    std::size_t best_score = 0;
    const auto look_at = [&](std::size_t at) {
      std::size_t before = 0, after = 0;
      while (before < end - done && before < at && a[end - 1 - before] == b[at - 1 - before])
        ++before;
      // Not even a shingle: another one of the same slot.
      if (before < (is_wide(a[end - 1]) ? 3u : kShingleLetters)) return;
      while (end + after < a.size() && at + after < b.size() && a[end + after] == b[at + after])
        ++after;
      const std::ptrdiff_t shift =
          static_cast<std::ptrdiff_t>(at) - static_cast<std::ptrdiff_t>(end) - diagonal;
      const bool in_order = shift >= -kShift && shift <= kShift;
      const std::size_t score = before + after + (in_order ? kInOrder : 0);
      if (score > best_score) {
        best_score = score;
        best = {end - before, at - before, before + after};
      }
    };
    const std::ptrdiff_t straight = static_cast<std::ptrdiff_t>(end) + diagonal;
    if (straight > 0 && straight <= static_cast<std::ptrdiff_t>(b.size()))
      look_at(static_cast<std::size_t>(straight));
    std::uint32_t entry = heads_[slot_of(hash, heads_.size())];
    for (int looked = 0; entry != 0 && looked < kChain; ++looked, entry = next_[entry])
      look_at(entry * step_);
    if (best_score == 0) return;
    matches_.push_back(best);
    done = best.a + best.length;
    diagonal = static_cast<std::ptrdiff_t>(best.b) - static_cast<std::ptrdiff_t>(best.a);
  });
}

void SubstringSimilarity::split_chain(std::u16string_view a) {
  chain_.clear();
  moved_.clear();
  // best[k]: the heaviest chain that ends with match k. A Fenwick tree over the ends in `b` gives
  // the heaviest that ends before a place.
  const std::size_t count = matches_.size();
  std::vector<std::size_t> ends(count), best(count), before(count);
  for (std::size_t k = 0; k < count; ++k) ends[k] = matches_[k].b_end();
  std::sort(ends.begin(), ends.end());
  std::vector<std::size_t> tree(count + 1, count);  // number of a match; `count`: none
  const auto weight = [&](std::size_t k) { return k == count ? 0 : best[k]; };
  for (std::size_t k = 0; k < count; ++k) {
    const auto rank_of = [&](std::size_t place) {
      return static_cast<std::size_t>(std::upper_bound(ends.begin(), ends.end(), place) -
                                      ends.begin());
    };
    before[k] = count;
    for (std::size_t at = rank_of(matches_[k].b); at > 0; at &= at - 1)
      if (weight(tree[at]) > weight(before[k])) before[k] = tree[at];
    best[k] = matches_[k].length + weight(before[k]);
    for (std::size_t at = rank_of(matches_[k].b_end()); at <= count; at += at & (~at + 1))
      if (best[k] > weight(tree[at])) tree[at] = k;
  }
  std::size_t last = count;
  for (std::size_t k = 0; k < count; ++k)
    if (last == count || best[k] > best[last]) last = k;
  for (std::size_t k = count; k-- > 0;) {
    if (k == last) {
      chain_.push_back(matches_[k]);
      last = before[k];
    } else if (is_moved(a.substr(matches_[k].a, matches_[k].length))) {
      moved_.push_back(matches_[k]);
    }
  }
  std::reverse(chain_.begin(), chain_.end());
  std::reverse(moved_.begin(), moved_.end());
}

std::size_t SubstringSimilarity::explained(std::u16string_view a, std::u16string_view b) {
  // Two readings: everything is in its order, or pieces were moved. A stretch between two links of
  // the chain is what was edited in the first; in the second that holds where nothing was moved to
  // or from it.
  std::size_t in_order = 0, with_moved = 0, a_end = 0, b_end = 0;
  const auto gap = [&](std::size_t a_next, std::size_t b_next) {
    if (b_next <= b_end || a_next <= a_end) return;
    const std::size_t a_size = a_next - a_end, b_size = b_next - b_end;
    const std::size_t longer = std::max(a_size, b_size);
    if (longer > kGap || 2 * std::min(a_size, b_size) < longer) return;
    const std::size_t distance = edit_distance_(a.substr(a_end, a_size), b.substr(b_end, b_size));
    // Unrelated text agrees in a quarter of its letters by chance; that explains nothing.
    if (2 * distance > longer) return;
    in_order += longer - distance;
    const bool moved = std::any_of(moved_.begin(), moved_.end(), [&](const Match& match) {
      return (match.a < a_next && match.a_end() > a_end) ||
             (match.b < b_next && match.b_end() > b_end);
    });
    if (!moved) with_moved += longer - distance;
  };
  for (const Match& match : chain_) {
    in_order += match.length;
    with_moved += match.length;
    gap(match.a, match.b);
    a_end = match.a_end();
    b_end = match.b_end();
  }
  gap(a.size(), b.size());
  return std::max(in_order, with_moved + moved_letters());
}

std::size_t SubstringSimilarity::moved_letters() {
  // A moved piece of `b` explains as much of `a` as it is long, however often it stands there, and
  // none of it that the chain has.
  std::sort(moved_.begin(), moved_.end(), [](const Match& x, const Match& y) { return x.b < y.b; });
  std::size_t letters = 0, reached = 0;
  auto link = chain_.begin();
  for (const Match& match : moved_) {
    std::size_t from = std::max(reached, match.b);
    while (link != chain_.end() && link->b_end() <= from) ++link;
    for (auto over = link; from < match.b_end(); ++over) {
      const std::size_t free = over == chain_.end() ? match.b_end() : over->b;
      if (free > from) letters += std::min(free, match.b_end()) - from;
      if (over == chain_.end()) break;
      from = std::max(from, over->b_end());
    }
    reached = std::max(reached, match.b_end());
  }
  return letters;
}

double SubstringSimilarity::operator()(std::u16string_view a, std::u16string_view b) {
  const std::size_t longer = std::max(a.size(), b.size());
  if (longer == 0) return 1;
  const auto ends = std::mismatch(a.begin(), a.end(), b.begin(), b.end());
  const auto prefix = static_cast<std::size_t>(ends.first - a.begin());
  a.remove_prefix(prefix);
  b.remove_prefix(prefix);
  const auto tails = std::mismatch(a.rbegin(), a.rend(), b.rbegin(), b.rend());
  const auto suffix = static_cast<std::size_t>(tails.first - a.rbegin());
  a.remove_suffix(suffix);
  b.remove_suffix(suffix);
  std::size_t same = prefix + suffix;
  if (!a.empty() && !b.empty()) {
    matches_.clear();
    index(b);
    find_matches(a, b);
    split_chain(a);
    same += explained(a, b);
  }
  return std::min(1.0, static_cast<double>(same) / static_cast<double>(longer));
}

}  // namespace tigerbot::data
