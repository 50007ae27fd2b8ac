#include "tokenizer/bpe_model.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <queue>
#include <unordered_map>
#ifdef __SSE4_1__
#include <smmintrin.h>
#endif

#include "base/error.h"
#include "tokenizer/byte_level_alphabet.h"

namespace tigerbot {
namespace {

constexpr std::size_t kMaximumPieces = (std::size_t{1} << 21) - 1;
constexpr std::size_t kMaximumMerges = (std::size_t{1} << 22) - 1;

std::uint64_t hash_bytes(std::string_view bytes) {
  std::uint64_t hash = bytes.size() * 0x9E3779B97F4A7C15u;
  while (bytes.size() >= 8) {
    std::uint64_t part;
    std::memcpy(&part, bytes.data(), 8);
    hash = (hash ^ part) * 0xFF51AFD7ED558CCDu;
    hash ^= hash >> 32;
    bytes.remove_prefix(8);
  }
  std::uint64_t part = 0;
  std::memcpy(&part, bytes.data(), bytes.size());
  hash = (hash ^ part) * 0xC4CEB9FE1A85EC53u;
  return hash ^ hash >> 29;
}

// For short strings faster than a call of memcmp.
bool equal(std::string_view a, std::string_view b) {
  if (a.size() != b.size()) return false;
  std::size_t i = 0;
  for (; i + 8 <= a.size(); i += 8) {
    std::uint64_t left, right;
    std::memcpy(&left, a.data() + i, 8);
    std::memcpy(&right, b.data() + i, 8);
    if (left != right) return false;
  }
  for (; i < a.size(); ++i) {
    if (a[i] != b[i]) return false;
  }
  return true;
}

// The index of the smallest of `count` keys is in its low bits; `keys` is padded to a multiple of 4
// with ~0.
std::uint32_t smallest(const std::uint32_t* keys, std::size_t count) {
#ifdef __SSE4_1__
  __m128i best = _mm_load_si128(reinterpret_cast<const __m128i*>(keys));
  for (std::size_t i = 4; i < count; i += 4) {
    best = _mm_min_epu32(best, _mm_load_si128(reinterpret_cast<const __m128i*>(keys + i)));
  }
  best = _mm_min_epu32(best, _mm_shuffle_epi32(best, 0x4E));
  best = _mm_min_epu32(best, _mm_shuffle_epi32(best, 0xB1));
  return static_cast<std::uint32_t>(_mm_cvtsi128_si32(best));
#else
  return *std::min_element(keys, keys + count);
#endif
}

// Of a cut we know up to three bytes on each side; contexts are numbered by how many.
constexpr std::size_t kCutContext = 3;
std::size_t cut_bit(std::size_t left, std::size_t right) {
  return (left - 1) * kCutContext + right - 1;
}
// Which of the bytes cut[-3] to cut[4], as one little-endian number, belong to a context.
constexpr std::array<std::uint64_t, kCutContext* kCutContext> kCutMasks = [] {
  std::array<std::uint64_t, kCutContext * kCutContext> masks{};
  for (std::size_t left = 1; left <= kCutContext; ++left) {
    for (std::size_t right = 1; right <= kCutContext; ++right) {
      masks[(left - 1) * kCutContext + right - 1] = ((std::uint64_t{1} << (left + right) * 8) - 1)
                                                    << (kCutContext - left) * 8;
    }
  }
  return masks;
}();
std::uint64_t cut_hash(std::uint64_t around, std::size_t bit) {
  const std::uint64_t key = ((around & kCutMasks[bit]) + bit) * 0x9E3779B97F4A7C15u;
  return key ^ key >> 32;
}
// The bytes around a cut, zero where they may not be read.
std::uint64_t bytes_around(const char* cut, const char* begin, const char* end) {
  std::uint64_t around = 0;
  if (cut - begin >= 3 && end - cut >= 5) {
    std::memcpy(&around, cut - 3, 8);
    if constexpr (std::endian::native == std::endian::big) around = __builtin_bswap64(around);
    return around;
  }
  for (std::ptrdiff_t i = -3; i < 5; ++i) {
    if (cut - begin < -i || end - cut <= i) continue;
    around |= static_cast<std::uint64_t>(static_cast<unsigned char>(cut[i])) << (i + 3) * 8;
  }
  return around;
}
bool starts_wide_character(char byte) { return static_cast<unsigned char>(byte) >= 0xC0; }
std::size_t cut_index(char before, char first) {
  return static_cast<std::size_t>(static_cast<unsigned char>(before)) << 6 |
         (static_cast<unsigned char>(first) & 63);
}

}  // namespace

BpeModel::BpeModel(const std::vector<std::string>& pieces, const std::vector<std::string>& merges,
                   bool ignore_merges, const std::string& where)
    : ignore_merges_(ignore_merges) {
  if (pieces.size() > kMaximumPieces) {
    fail("{}: {} pieces; at most {} are supported", where, pieces.size(), kMaximumPieces);
  }
  if (merges.size() > kMaximumMerges) {
    fail("{}: {} merges; at most {} are supported", where, merges.size(), kMaximumMerges);
  }
  byte_ids_.fill(-1);
  piece_offsets_.reserve(pieces.size() + 1);
  piece_offsets_.push_back(0);
  piece_table_.assign(std::bit_ceil(pieces.size() * 2 + 2), 0);
  for (std::size_t id = 0; id < pieces.size(); ++id) {
    if (const auto bytes = from_byte_level(pieces[id])) piece_bytes_ += *bytes;
    if (piece_bytes_.size() > 0xFFFFFFFFu) fail("{}: the pieces take more than 4 GB", where);
    piece_offsets_.push_back(static_cast<std::uint32_t>(piece_bytes_.size()));
  }
  for (std::size_t id = 0; id < pieces.size(); ++id) {
    const std::string_view piece = bytes(static_cast<TokenId>(id));
    if (piece.empty()) continue;
    if (piece.size() == 1)
      byte_ids_[static_cast<unsigned char>(piece[0])] = static_cast<TokenId>(id);
    const std::uint64_t hash = hash_bytes(piece);
    std::size_t slot = hash & (piece_table_.size() - 1);
    while (piece_table_[slot] != 0) slot = (slot + 1) & (piece_table_.size() - 1);
    piece_table_[slot] = (hash & ~std::uint64_t{0xFFFFFFFF}) | (id + 1);
  }
  has_every_byte_ = std::find(byte_ids_.begin(), byte_ids_.end(), -1) == byte_ids_.end();
  add_merges(merges, where);
  add_cuts();
}

void BpeModel::add_merges(const std::vector<std::string>& merges, const std::string& where) {
  pair_shift_ = 64 - std::countr_zero(std::bit_ceil(merges.size() * 2 + 2));
  pairs_.assign(std::size_t{1} << (64 - pair_shift_), kEmpty);
  pair_mask_ = pairs_.size() - 1;
  // About ten bits a pair.
  filter_shift_ = std::max(pair_shift_ - 3, 0);
  pair_filter_.assign((std::size_t{1} << (64 - filter_shift_)) / 64 + 1, 0);
  merged_ids_.reserve(merges.size());
  byte_pair_ranks_.assign(65536, kNoRank);
  for (std::size_t rank = 0; rank < merges.size(); ++rank) {
    const std::string& merge = merges[rank];
    const std::size_t space = merge.find(' ');
    if (space == std::string::npos || merge.find(' ', space + 1) != std::string::npos) {
      fail("{}: merge {} is \"{}\"; a merge is two pieces with one space between", where, rank,
           merge);
    }
    const auto left = from_byte_level(std::string_view(merge).substr(0, space));
    const auto right = from_byte_level(std::string_view(merge).substr(space + 1));
    if (!left || !right) {
      fail("{}: merge {} (\"{}\") is not spelled in the byte-level alphabet", where, rank, merge);
    }
    const std::int64_t left_id = find_piece(*left), right_id = find_piece(*right);
    const std::int64_t merged_id = find_piece(*left + *right);
    if (left_id < 0 || right_id < 0 || merged_id < 0) {
      fail("{}: merge {} (\"{}\") names or makes a piece that the vocabulary lacks", where, rank,
           merge);
    }
    const PairProbe pair = probe(static_cast<TokenId>(left_id), static_cast<TokenId>(right_id));
    std::uint64_t slot = pair.hash >> pair_shift_;
    while (pairs_[slot] != kEmpty && pairs_[slot] >> 22 != pair.key) slot = (slot + 1) & pair_mask_;
    pairs_[slot] = pair.key << 22 | rank;  // of equal merges the last counts, as in the reference
    const std::uint64_t bit = pair.hash >> filter_shift_;
    pair_filter_[bit >> 6] |= std::uint64_t{1} << (bit & 63);
    merged_ids_.push_back(static_cast<TokenId>(merged_id));
    if (left->size() == 1 && right->size() == 1) {
      byte_pair_ranks_[static_cast<std::size_t>(static_cast<unsigned char>((*left)[0])) << 8 |
                       static_cast<unsigned char>((*right)[0])] = static_cast<std::uint32_t>(rank);
    }
  }
}

void BpeModel::add_cuts() {
  cut_contexts_.assign(256 * 64, 0);
  std::vector<std::uint64_t> hashes;
  for (std::size_t id = 0; id + 1 < piece_offsets_.size(); ++id) {
    const std::string_view piece = bytes(static_cast<TokenId>(id));
    for (std::size_t cut = 1; cut < piece.size(); ++cut) {
      if (!starts_wide_character(piece[cut])) continue;
      const std::size_t left = std::min(cut, kCutContext),
                        right = std::min(piece.size() - cut, kCutContext);
      cut_contexts_[cut_index(piece[cut - 1], piece[cut])] |=
          static_cast<std::uint16_t>(1u << cut_bit(left, right));
      hashes.push_back(
          cut_hash(bytes_around(piece.data() + cut, piece.data(), piece.data() + piece.size()),
                   cut_bit(left, right)));
    }
  }
  std::sort(hashes.begin(), hashes.end());
  hashes.erase(std::unique(hashes.begin(), hashes.end()), hashes.end());
  cut_filter_.assign(std::bit_ceil(hashes.size() * 16 / 64 + 1), 0);
  for (const std::uint64_t hash : hashes) {
    cut_filter_[(hash >> 6) & (cut_filter_.size() - 1)] |= std::uint64_t{1} << (hash & 63);
  }
}

std::size_t BpeModel::next_cut(std::string_view word, std::size_t begin, const char* readable_begin,
                               const char* readable_end) const {
  for (std::size_t cut = begin + 1; cut < word.size(); ++cut) {
    if (!starts_wide_character(word[cut])) continue;
    std::uint32_t contexts = cut_contexts_[cut_index(word[cut - 1], word[cut])];
    bool joined = false;
    if (contexts != 0) {
      const std::uint64_t around = bytes_around(word.data() + cut, readable_begin, readable_end);
      do {
        const auto bit = static_cast<std::size_t>(std::countr_zero(contexts));
        contexts &= contexts - 1;
        // A context that reaches over the word's ends may match there; that only loses a cut.
        const std::uint64_t hash = cut_hash(around, bit);
        joined = cut_filter_[(hash >> 6) & (cut_filter_.size() - 1)] >> (hash & 63) & 1;
      } while (contexts != 0 && !joined);
    }
    if (!joined) return cut;
  }
  return word.size();
}

std::string_view BpeModel::bytes(TokenId id) const {
  const auto index = static_cast<std::size_t>(id);
  if (id < 0 || index + 1 >= piece_offsets_.size()) return {};
  return std::string_view(piece_bytes_)
      .substr(piece_offsets_[index], piece_offsets_[index + 1] - piece_offsets_[index]);
}

std::int64_t BpeModel::find_piece(std::string_view bytes_of_piece) const {
  const std::uint64_t hash = hash_bytes(bytes_of_piece);
  for (std::size_t slot = hash & (piece_table_.size() - 1); piece_table_[slot] != 0;
       slot = (slot + 1) & (piece_table_.size() - 1)) {
    if ((piece_table_[slot] ^ hash) >> 32 != 0) continue;
    const auto id = static_cast<TokenId>((piece_table_[slot] & 0xFFFFFFFF) - 1);
    if (equal(bytes(id), bytes_of_piece)) return id;
  }
  return -1;
}

std::size_t BpeModel::encode(std::string_view word, TokenId* ids) const {
  if (ignore_merges_) {
    const std::int64_t id = find_piece(word);
    if (id >= 0) {
      ids[0] = static_cast<TokenId>(id);
      return 1;
    }
  }
  return merge(word, ids);
}

std::size_t BpeModel::merge(std::string_view word, TokenId* ids) const {
  if (lacks_byte_of(word)) {
    std::string rest;
    for (const char byte : word) {
      if (byte_ids_[static_cast<unsigned char>(byte)] >= 0) rest.push_back(byte);
    }
    return rest.empty() ? 0 : merge(rest, ids);
  }
  return word.size() <= kShortWord ? merge_short(word, ids) : merge_long(word, ids);
}

// Every pair's key is rank << 6 | position, so the smallest key is the merge of lowest rank,
// leftmost among equals. A symbol stays where its first byte is; `alive` marks these places.
std::size_t BpeModel::merge_short(std::string_view word, TokenId* ids) const {
  alignas(16) std::uint32_t keys[kShortWord];
  TokenId symbols[kShortWord];
  const std::size_t size = word.size();
  if (size == 0) return 0;
  std::size_t last = static_cast<unsigned char>(word[0]);
  symbols[0] = byte_ids_[last];
  for (std::size_t i = 1; i < size; ++i) {
    const std::size_t byte = static_cast<unsigned char>(word[i]);
    symbols[i] = byte_ids_[byte];
    const std::uint32_t rank = byte_pair_ranks_[last << 8 | byte];
    keys[i - 1] = rank == kNoRank ? kNoRank : rank << 6 | static_cast<std::uint32_t>(i - 1);
    last = byte;
  }
  for (std::size_t i = size - 1; i < ((size + 3) & ~std::size_t{3}); ++i) keys[i] = kNoRank;

  std::uint64_t alive = size == 64 ? ~std::uint64_t{0} : (std::uint64_t{1} << size) - 1;
  while (true) {
    const std::uint32_t best = smallest(keys, size);
    if (best == kNoRank) break;
    const std::uint32_t at = best & 63;
    const std::uint64_t after = alive & (~std::uint64_t{0} << at << 1);
    const auto right = static_cast<std::uint32_t>(std::countr_zero(after));
    const std::uint64_t after_right = after & (after - 1);
    alive &= ~(std::uint64_t{1} << right);
    keys[right] = kNoRank;
    const TokenId merged = merged_ids_[best >> 6];
    symbols[at] = merged;
    // Both pairs with the merged symbol are looked up at once, so that their cache misses overlap.
    const std::uint64_t before = alive & ((std::uint64_t{1} << at) - 1);
    const std::size_t next = after_right != 0 ? std::countr_zero(after_right) : 0;
    const std::size_t previous = before != 0 ? 63 - std::countl_zero(before) : 0;
    const PairProbe with_next = probe(merged, symbols[next]);
    const PairProbe with_previous = probe(symbols[previous], merged);
    const bool try_next = after_right != 0 && may_merge(with_next);
    const bool try_previous = before != 0 && may_merge(with_previous);
    keys[at] = kNoRank;
    if (before != 0) keys[previous] = kNoRank;
    if (try_next) {
      const std::uint32_t found = rank(with_next);
      if (found != kNoRank) {
        keys[at] = found << 6 | at;
        __builtin_prefetch(&merged_ids_[found]);
      }
    }
    if (try_previous) {
      const std::uint32_t found = rank(with_previous);
      if (found != kNoRank) {
        keys[previous] = found << 6 | static_cast<std::uint32_t>(previous);
        __builtin_prefetch(&merged_ids_[found]);
      }
    }
  }
  std::size_t count = 0;
  for (; alive != 0; alive &= alive - 1) ids[count++] = symbols[std::countr_zero(alive)];
  return count;
}

// The same with a heap. An entry whose pair has changed since is skipped.
std::size_t BpeModel::merge_long(std::string_view word, TokenId* ids) const {
  struct Symbol {
    TokenId id;
    std::int32_t previous, next;
  };
  std::vector<Symbol> symbols;
  symbols.reserve(word.size());
  for (const char byte : word) {
    const auto at = static_cast<std::int32_t>(symbols.size());
    symbols.push_back({byte_ids_[static_cast<unsigned char>(byte)], at - 1, at + 1});
  }
  symbols.back().next = -1;
  std::vector<std::uint64_t> entries;  // rank << 32 | position
  const auto add = [&](std::int32_t at) {
    const std::int32_t next = symbols[static_cast<std::size_t>(at)].next;
    if (next < 0) return false;
    const std::uint32_t found =
        rank(symbols[static_cast<std::size_t>(at)].id, symbols[static_cast<std::size_t>(next)].id);
    if (found == kNoRank) return false;
    entries.push_back(static_cast<std::uint64_t>(found) << 32 | static_cast<std::uint32_t>(at));
    return true;
  };
  for (std::size_t i = 0; i < symbols.size(); ++i) add(static_cast<std::int32_t>(i));
  std::make_heap(entries.begin(), entries.end(), std::greater<>());
  while (!entries.empty()) {
    std::pop_heap(entries.begin(), entries.end(), std::greater<>());
    const std::uint64_t entry = entries.back();
    entries.pop_back();
    const auto at = static_cast<std::int32_t>(entry & 0xFFFFFFFFu);
    Symbol& left = symbols[static_cast<std::size_t>(at)];
    if (left.id < 0 || left.next < 0) continue;
    Symbol& right = symbols[static_cast<std::size_t>(left.next)];
    if (rank(left.id, right.id) != entry >> 32) continue;
    left.id = merged_ids_[entry >> 32];
    right.id = -1;
    left.next = right.next;
    if (left.next >= 0) symbols[static_cast<std::size_t>(left.next)].previous = at;
    if (add(at)) std::push_heap(entries.begin(), entries.end(), std::greater<>());
    if (left.previous >= 0 && add(left.previous)) {
      std::push_heap(entries.begin(), entries.end(), std::greater<>());
    }
  }
  std::size_t count = 0;
  for (std::int32_t at = 0; at >= 0; at = symbols[static_cast<std::size_t>(at)].next) {
    ids[count++] = symbols[static_cast<std::size_t>(at)].id;
  }
  return count;
}

}  // namespace tigerbot
