#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "tokenizer/tokenizer.h"

namespace tigerbot {

/// Words as rows of symbols (ids of pieces), each with the number of times that it occurs.
struct SymbolWords {
  struct Word {
    std::uint64_t begin;
    std::uint64_t count;
    std::uint32_t size;
  };
  std::vector<std::uint32_t> symbols;
  std::vector<Word> words;
};

/// The pieces that merges are made of: grows as merges are learned.
class PieceTable {
 public:
  /// The id of a piece, which is given the next one if it has none; `length` in characters of the
  /// alphabet that training starts from.
  std::uint32_t add(std::string piece, std::uint32_t length);
  std::optional<std::uint32_t> find(const std::string& piece) const;
  std::size_t size() const { return pieces_.size(); }
  const std::string& piece(std::uint32_t id) const { return pieces_[id]; }
  std::uint32_t length(std::uint32_t id) const { return lengths_[id]; }
  std::vector<std::string> release() { return std::move(pieces_); }

 private:
  std::vector<std::string> pieces_;
  std::vector<std::uint32_t> lengths_;
  std::unordered_map<std::string, std::uint32_t> ids_;
};

struct LearnedMerge {
  std::uint32_t left, right, merged;
};

struct MergeLearnerOptions {
  std::size_t max_pieces = 0;  ///< stops when the table has so many
  std::uint64_t min_frequency = 0;
  std::optional<std::uint32_t> max_token_length;  ///< in characters of the alphabet
  int threads = 1;
  /// Pairs that may be joined, by the spelling of the joined piece; null allows all.
  std::function<bool(std::string_view joined)> allowed;
  /// Called now and then with the number of pieces.
  std::function<void(std::size_t)> on_progress;
};

/// Learns byte-pair merges (Sennrich et al. 2016, arXiv:1508.07909) in the order of Hugging Face's
/// BpeTrainer: the most frequent pair first, of equally frequent ones that with the smaller left
/// id, then the smaller right id. `words` is rewritten as merges are found, `pieces` grows.
///
/// Only pairs that occur at least as often as a threshold have places and a counter; when they are
/// used up the words are counted anew with a lower one. Memory is thus that of the words, and the
/// rare pairs, which are nearly all pairs, cost nothing.
std::vector<LearnedMerge> learn_merges(SymbolWords& words, PieceTable& pieces,
                                       const MergeLearnerOptions& options);

}  // namespace tigerbot
