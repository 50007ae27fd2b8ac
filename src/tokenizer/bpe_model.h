#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "tokenizer/tokenizer.h"

namespace tigerbot {

/// The merges of byte-level BPE (Sennrich et al. 2016, arXiv:1508.07909; on bytes as GPT-2): turns
/// one pre-token into ids. Immutable and safe to use from many threads.
class BpeModel {
 public:
  /// `pieces` by id and `merges` ("left right") in rank order, spelled in the byte-level alphabet.
  /// `where` names the file and the node in errors.
  BpeModel(const std::vector<std::string>& pieces, const std::vector<std::string>& merges,
           bool ignore_merges, const std::string& where);

  /// Writes the ids of `word` (any bytes) and returns how many; `ids` has room for word.size().
  /// Takes time n log n at worst.
  std::size_t encode(std::string_view word, TokenId* ids) const;

  /// The same by merging alone, whatever ignore_merges says: for a part of a word between cuts (see
  /// next_cut()).
  std::size_t merge(std::string_view part, TokenId* ids) const;

  /// The bytes that a piece stands for; empty for an id with no piece or outside the alphabet.
  std::string_view bytes(TokenId id) const;

  /// The id of a word of one byte; negative if the vocabulary lacks it.
  TokenId byte_id(char byte) const { return byte_ids_[static_cast<unsigned char>(byte)]; }

  /// True if the vocabulary lacks a byte of `word`. The reference drops such bytes.
  bool lacks_byte_of(std::string_view word) const {
    if (has_every_byte_) return false;
    for (const char byte : word) {
      if (byte_ids_[static_cast<unsigned char>(byte)] < 0) return true;
    }
    return false;
  }

  /// The end of the first part of `word` (from `begin`, where the word begins or is cut) that no
  /// merge and no piece joins with what follows; only starts of non-ASCII characters are tried. The
  /// vocabulary must have every byte of `word`; bytes from `readable_begin` to `readable_end` may
  /// be read.
  std::size_t next_cut(std::string_view word, std::size_t begin, const char* readable_begin,
                       const char* readable_end) const;

  /// True if a word that is a piece is that piece, whatever its merges say.
  bool ignore_merges() const { return ignore_merges_; }

 private:
  static constexpr std::uint32_t kNoRank = ~0u;
  static constexpr std::size_t kShortWord = 64;

  // Where the search for a pair starts, and what its entry begins with.
  struct PairProbe {
    std::uint64_t key, hash;
  };
  static PairProbe probe(TokenId left, TokenId right) {
    const std::uint64_t key =
        static_cast<std::uint64_t>(left) << 21 | static_cast<std::uint64_t>(right);
    return {key, key * 0x9E3779B97F4A7C15u};
  }
  // False if the pair surely does not merge; the filter is small enough to stay in a near cache.
  bool may_merge(const PairProbe& pair) const {
    return pair_filter_[pair.hash >> filter_shift_ >> 6] >> (pair.hash >> filter_shift_ & 63) & 1;
  }
  std::uint32_t rank(const PairProbe& pair) const {
    for (std::uint64_t slot = pair.hash >> pair_shift_;; slot = (slot + 1) & pair_mask_) {
      const std::uint64_t entry = pairs_[slot];
      if (entry >> 22 == pair.key) return static_cast<std::uint32_t>(entry & 0x3FFFFF);
      if (entry == kEmpty) return kNoRank;
    }
  }
  std::uint32_t rank(TokenId left, TokenId right) const { return rank(probe(left, right)); }
  static constexpr std::uint64_t kEmpty = ~std::uint64_t{0};

  void add_merges(const std::vector<std::string>& merges, const std::string& where);
  void add_cuts();
  std::size_t merge_short(std::string_view word, TokenId* ids) const;
  std::size_t merge_long(std::string_view word, TokenId* ids) const;
  std::int64_t find_piece(std::string_view bytes) const;

  bool ignore_merges_ = false;
  bool has_every_byte_ = true;
  std::array<TokenId, 256> byte_ids_{};
  // Rank of the merge of two bytes, by first << 8 | second.
  std::vector<std::uint32_t> byte_pair_ranks_;
  // Open addressing: left id (21 bits), right id (21 bits), rank (22 bits).
  std::vector<std::uint64_t> pairs_;
  int pair_shift_ = 63, filter_shift_ = 0;
  std::vector<std::uint64_t> pair_filter_;  // a bit for each pair, by the high bits of its hash
  std::uint64_t pair_mask_ = 1;
  std::vector<TokenId> merged_ids_;  // by rank

  std::string piece_bytes_;                   // all pieces, one after the other
  std::vector<std::uint32_t> piece_offsets_;  // size() + 1
  // Open addressing on the bytes: high half of the hash, then id + 1; 0 is empty.
  std::vector<std::uint64_t> piece_table_;
  // For next_cut(): which contexts some merged piece has around the start of a non-ASCII
  // character; the first by (byte before, first byte), the second by a hash of up to three bytes
  // on both sides: a cut is safe where no such context is around it.
  std::vector<std::uint16_t> cut_contexts_;
  std::vector<std::uint64_t> cut_filter_;
};

}  // namespace tigerbot
