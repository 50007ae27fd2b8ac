#include "data/dedup/overlap_index.h"

#include <algorithm>
#include <bit>
#include <limits>
#include <tuple>

#include "base/error.h"
#include "base/utf8.h"
#include "data/dedup/folded_text.h"
#include "data/dedup/sketch.h"

namespace tigerbot::data {
namespace {

/// Korean writes spaces between words; ideographs and kana stand alone.
bool stands_alone(char32_t c) {
  const bool hangul =
      (c >= 0xAC00 && c < 0xD7B0) || (c >= 0x1100 && c < 0x1200) || (c >= 0x3130 && c < 0x3190);
  return c >= 0x10000 ? c >= 0x20000 && c < 0x32000 : is_wide(static_cast<char16_t>(c)) && !hangul;
}

/// Calls visit(first, last, hash) for each n-gram: tokens first to last, the shortest run from
/// `first` that is long enough.
template <typename Visit>
void for_each_ngram(const std::vector<OverlapToken>& tokens, const OverlapLength& length,
                    Visit visit) {
  constexpr std::uint64_t kBase = 0x9E3779B97F4A7C55;
  const std::int64_t enough = std::int64_t{length.words} * length.characters;
  std::vector<std::uint64_t> sums(tokens.size() + 1, 0);
  std::vector<std::uint64_t> powers(1, 1);
  for (std::size_t k = 0; k < tokens.size(); ++k) sums[k + 1] = sums[k] * kBase + tokens[k].hash;
  std::int64_t weight = 0;
  std::size_t end = 0;
  for (std::size_t first = 0; first < tokens.size(); ++first) {
    while (end < tokens.size() && weight < enough) weight += tokens[end++].weight;
    if (weight < enough) return;
    while (powers.size() <= end - first) powers.push_back(powers.back() * kBase);
    visit(first, end - 1, mix64(sums[end] - sums[first] * powers[end - first]));
    weight -= tokens[first].weight;
  }
}

}  // namespace

std::vector<OverlapToken> overlap_tokens(std::string_view text, const OverlapLength& length) {
  if (text.size() > std::numeric_limits<std::uint32_t>::max())
    fail("a text of {} bytes is too long to be looked through for overlaps", text.size());
  std::vector<OverlapToken> tokens;
  std::uint64_t word = 0;
  std::size_t word_begin = 0, word_end = 0;
  bool in_word = false;
  const auto end_word = [&] {
    if (in_word)
      tokens.push_back({mix64(word), static_cast<std::uint32_t>(word_begin),
                        static_cast<std::uint32_t>(word_end), length.characters});
    in_word = false;
  };
  for (std::size_t at = 0; at < text.size();) {
    const Utf8Step step = decode_utf8(text, at);
    const char32_t folded = fold_character(step.code_point);
    const std::size_t next = at + step.length;
    if (folded == 0) {
      // Format and control characters stand within words.
    } else if (!is_folded_letter(folded)) {
      end_word();
    } else if (stands_alone(folded)) {
      end_word();
      tokens.push_back({mix64(folded), static_cast<std::uint32_t>(at),
                        static_cast<std::uint32_t>(next), length.words});
    } else {
      if (!in_word) {
        word = 0x243F6A8885A308D3;
        word_begin = at;
        in_word = true;
      }
      word = (word ^ folded) * 0x9E3779B97F4A7C15;
      word ^= word >> 29;
      word_end = next;
    }
    at = next;
  }
  end_word();
  return tokens;
}

bool OverlapIndex::add(std::string_view text, std::uint32_t set, std::uint32_t row) {
  const std::size_t before = entries_.size();
  for_each_ngram(overlap_tokens(text, length_), length_,
                 [&](std::size_t, std::size_t, std::uint64_t hash) {
                   entries_.push_back({hash, set, row});
                 });
  return entries_.size() > before;
}

void OverlapIndex::finish(int common_rows) {
  std::sort(entries_.begin(), entries_.end(), [](const Entry& a, const Entry& b) {
    return std::tie(a.hash, a.set, a.row) < std::tie(b.hash, b.set, b.row);
  });
  std::size_t kept = 0;
  for (std::size_t start = 0, end = 0; start < entries_.size(); start = end) {
    int rows = 0;
    for (end = start; end < entries_.size() && entries_[end].hash == entries_[start].hash; ++end)
      if (end == start || entries_[end].set != entries_[end - 1].set ||
          entries_[end].row != entries_[end - 1].row)
        ++rows;
    if (rows <= common_rows) entries_[kept++] = entries_[start];
  }
  entries_.resize(kept);
  entries_.shrink_to_fit();
  if (kept >= std::numeric_limits<std::uint32_t>::max())
    fail("{} n-grams are too many to be protected", kept);
  // About two entries a place, so that a look-up is one or two steps.
  const int bits = std::max(1, static_cast<int>(std::bit_width(kept)) - 1);
  shift_ = 64 - bits;
  first_.assign((std::size_t{1} << bits) + 1, 0);
  for (const Entry& entry : entries_) ++first_[(entry.hash >> shift_) + 1];
  for (std::size_t k = 1; k < first_.size(); ++k) first_[k] += first_[k - 1];
}

const OverlapIndex::Entry* OverlapIndex::look_up(std::uint64_t hash) const {
  const std::size_t place = hash >> shift_;
  for (std::uint32_t k = first_[place]; k < first_[place + 1]; ++k)
    if (entries_[k].hash == hash) return &entries_[k];
  return nullptr;
}

std::vector<OverlapIndex::Hit> OverlapIndex::find(std::string_view text) const {
  std::vector<Hit> hits;
  if (entries_.empty()) return hits;
  const std::vector<OverlapToken> tokens = overlap_tokens(text, length_);
  for_each_ngram(tokens, length_, [&](std::size_t first, std::size_t last, std::uint64_t hash) {
    const std::size_t begin = tokens[first].begin, end = tokens[last].end;
    // N-grams that begin inside the last stretch go on with it.
    const Entry* entry = look_up(hash);
    if (entry == nullptr) return;
    if (!hits.empty() && begin < hits.back().end) {
      hits.back().end = std::max(hits.back().end, end);
    } else {
      hits.push_back({begin, end, entry->set, entry->row});
    }
  });
  return hits;
}

}  // namespace tigerbot::data
