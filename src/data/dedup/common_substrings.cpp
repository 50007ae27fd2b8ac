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
constexpr std::size_t kGap = 96;
/// A match that goes on where the last one stopped, but for a small edit, is preferred to one of
/// this many letters more.
constexpr std::size_t kInOrder = 24;
constexpr std::ptrdiff_t kShift = 48;

std::size_t slot_of(std::uint64_t hash, std::size_t slots) {
  return static_cast<std::size_t>(hash >> 20) & (slots - 1);
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
      if (before < (is_wide(a[end - 1]) ? kShingleWeight / 2u : kShingleWeight)) return;
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

std::size_t SubstringSimilarity::edit_distance(std::u16string_view a, std::u16string_view b) {
  row_.resize(b.size() + 1);
  for (std::size_t k = 0; k <= b.size(); ++k) row_[k] = static_cast<std::uint32_t>(k);
  for (std::size_t i = 0; i < a.size(); ++i) {
    std::uint32_t corner = row_[0];
    std::uint32_t left = ++row_[0];
    for (std::size_t k = 1; k <= b.size(); ++k) {
      const std::uint32_t changed = corner + (a[i] == b[k - 1] ? 0 : 1);
      corner = row_[k];
      left = std::min(changed, std::min(left, corner) + 1);
      row_[k] = left;
    }
  }
  return row_[b.size()];
}

std::size_t SubstringSimilarity::explained_gaps(std::u16string_view a, std::u16string_view b) {
  std::size_t explained = 0, a_end = 0, b_end = 0;
  const auto gap = [&](std::size_t a_next, std::size_t b_next) {
    if (b_next <= b_end || a_next <= a_end) return;
    const std::size_t a_size = a_next - a_end, b_size = b_next - b_end;
    const std::size_t longer = std::max(a_size, b_size);
    if (longer > kGap || 2 * std::min(a_size, b_size) < longer) return;
    const std::size_t distance = edit_distance(a.substr(a_end, a_size), b.substr(b_end, b_size));
    // Unrelated text agrees in a quarter of its letters by chance; that explains nothing.
    if (2 * distance <= longer) explained += longer - distance;
  };
  for (const Match& match : matches_) {
    gap(match.a, match.b);
    a_end = match.a + match.length;
    b_end = match.b + match.length;
  }
  gap(a.size(), b.size());
  return explained;
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
    std::size_t of_a = 0, of_b = 0, reached = 0;
    by_b_ = matches_;
    std::sort(by_b_.begin(), by_b_.end(), [](const Match& x, const Match& y) { return x.b < y.b; });
    for (const Match& match : by_b_) {
      of_a += match.length;
      // A piece of `b` explains as much of `a` as it is long, however often it stands there.
      const std::size_t end = match.b + match.length;
      if (end > reached) of_b += end - std::max(reached, match.b);
      reached = std::max(reached, end);
    }
    same += std::min(of_a, of_b) + explained_gaps(a, b);
  }
  return std::min(1.0, static_cast<double>(same) / static_cast<double>(longer));
}

}  // namespace tigerbot::data
