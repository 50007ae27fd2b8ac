#include "tokenizer/extension/byte_level_extension.h"

#include <algorithm>
#include <unordered_map>
#include <unordered_set>
#include <utility>

#include "base/error.h"
#include "base/utf8.h"
#include "tokenizer/byte_level_alphabet.h"
#include "tokenizer/training/byte_level_trainer.h"
#include "tokenizer/training/merge_learner.h"
#include "tokenizer/training/pair_table.h"

namespace tigerbot {
namespace {

std::uint32_t length_of(const std::string& piece) {
  return static_cast<std::uint32_t>(decode_utf8(piece).size());
}

PieceTable table_of(const ByteLevelBase& base) {
  PieceTable table;
  for (const std::string& piece : base.pieces) table.add(piece, length_of(piece));
  return table;
}

void check_limit(const ByteLevelBase& base, const ExtensionOptions& options) {
  if (base.pieces.size() >= options.max_pieces) {
    fail("the base has {} pieces already and --max-pieces is {}; nothing can be added",
         base.pieces.size(), options.max_pieces);
  }
}

// Bytes that the base drops: with a piece for each, every byte string can be encoded.
std::vector<std::string> missing_bytes(const ByteLevelBase& base) {
  std::vector<std::string> pieces;
  for (int byte = 0; byte < 256; ++byte) {
    if (base.model->byte_id(static_cast<char>(byte)) < 0) {
      pieces.push_back(to_byte_level(std::string(1, static_cast<char>(byte))));
    }
  }
  return pieces;
}

bool may_add(const std::string& spelled, const ByteLevelBase& base, const PieceTable& table,
             const BaseTextGuard* guard) {
  const auto known = table.find(spelled);
  if (known && *known < base.is_added.size() && base.is_added[*known]) return false;
  if (guard == nullptr) return true;
  const auto bytes = from_byte_level(spelled);
  return bytes && !guard->may_occur(*bytes);
}

void add_missing_bytes(const ByteLevelBase& base, const ExtensionOptions& options,
                       PieceTable& table, Extension& extension) {
  for (const std::string& piece : missing_bytes(base)) {
    if (table.size() >= options.max_pieces) break;
    if (table.find(piece)) continue;  // an added token is spelled like it
    table.add(piece, 1);
    ++extension.byte_pieces;
  }
}

// Pieces of the table past the base's, and merges by their spelling.
void finish(const ByteLevelBase& base, const std::vector<LearnedMerge>& merges, PieceTable& table,
            Extension& extension) {
  for (const LearnedMerge& merge : merges) {
    extension.merges.push_back(table.piece(merge.left) + " " + table.piece(merge.right));
  }
  std::vector<std::string> pieces = table.release();
  extension.pieces.assign(
      std::make_move_iterator(pieces.begin() + static_cast<std::ptrdiff_t>(base.pieces.size())),
      std::make_move_iterator(pieces.end()));
}

}  // namespace

Extension extend_by_words(const ByteLevelBase& base, const WordCounts& words,
                          const ExtensionOptions& options) {
  check_limit(base, options);
  Extension extension;
  PieceTable table = table_of(base);
  add_missing_bytes(base, options, table, extension);
  SymbolWords symbols;
  std::vector<TokenId> ids;
  for (std::size_t i = 0; i < words.size(); ++i) {
    const std::string_view word = words.word(i);
    if (options.guard != nullptr && options.guard->is_base_text(word)) continue;
    ids.resize(word.size());
    const std::size_t count = base.model->encode(word, ids.data());
    if (count < 2) continue;
    symbols.words.push_back(
        {symbols.symbols.size(), words.count(i), static_cast<std::uint32_t>(count)});
    for (std::size_t k = 0; k < count; ++k) {
      symbols.symbols.push_back(static_cast<std::uint32_t>(ids[k]));
    }
  }
  MergeLearnerOptions learner;
  learner.max_pieces = options.max_pieces;
  learner.min_frequency = options.min_frequency;
  learner.threads = options.threads;
  learner.on_progress = options.on_progress;
  learner.allowed = [&](std::string_view joined) {
    return may_add(std::string(joined), base, table, options.guard);
  };
  std::vector<LearnedMerge> merges = learn_merges(symbols, table, learner);
  keep_last_of_equal_merges(merges);
  finish(base, merges, table, extension);
  return extension;
}

namespace {

// Merges that are added one by one, after the base's.
class PieceAdder {
 public:
  PieceAdder(const ByteLevelBase& base, const ExtensionOptions& options,
             const std::vector<std::string>& wanted)
      : base_(base), options_(options), table_(table_of(base)) {
    for (const std::string& bytes : wanted) wanted_.insert(to_byte_level(bytes));
  }

  PieceTable& table() { return table_; }
  std::vector<LearnedMerge>& merges() { return merges_; }

  enum class Result { kKnown, kAdded, kUnsafe, kNoRoom };
  Result add(const std::string& bytes) {
    std::vector<std::uint32_t> symbols = encode(bytes);
    if (symbols.size() < 2) return Result::kKnown;
    if (!may_add(to_byte_level(bytes), base_, table_, options_.guard)) return Result::kUnsafe;
    if (table_.size() + needed(symbols) > options_.max_pieces) return Result::kNoRoom;
    while (symbols.size() > 1) {
      const std::size_t at = best_pair(symbols);
      if (at == symbols.size()) return Result::kUnsafe;
      const std::uint32_t left = symbols[at], right = symbols[at + 1];
      const std::uint32_t merged = table_.add(table_.piece(left) + table_.piece(right),
                                              table_.length(left) + table_.length(right));
      ranks_.emplace(PairTable::key(left, right), merges_.size());
      merges_.push_back({left, right, merged});
      apply(symbols);
    }
    return Result::kAdded;
  }

 private:
  std::vector<std::uint32_t> encode(const std::string& bytes) const {
    std::vector<TokenId> ids(bytes.size());
    ids.resize(base_.model->encode(bytes, ids.data()));
    std::vector<std::uint32_t> symbols(ids.begin(), ids.end());
    apply(symbols);
    return symbols;
  }

  // The new merges, the earliest first.
  void apply(std::vector<std::uint32_t>& symbols) const {
    while (symbols.size() > 1) {
      std::size_t best = merges_.size();
      for (std::size_t i = 0; i + 1 < symbols.size(); ++i) {
        const auto found = ranks_.find(PairTable::key(symbols[i], symbols[i + 1]));
        if (found != ranks_.end()) best = std::min(best, found->second);
      }
      if (best == merges_.size()) return;
      const LearnedMerge& merge = merges_[best];
      std::size_t out = 0;
      for (std::size_t i = 0; i < symbols.size(); ++i) {
        if (i + 1 < symbols.size() && symbols[i] == merge.left && symbols[i + 1] == merge.right) {
          symbols[out++] = merge.merged;
          ++i;
        } else {
          symbols[out++] = symbols[i];
        }
      }
      symbols.resize(out);
    }
  }

  // At most so many pieces are needed to join them all.
  static std::size_t needed(const std::vector<std::uint32_t>& symbols) {
    return symbols.size() - 1;
  }

  // Where to join next: a pair that makes a piece which exists or is wanted, else the first that is
  // safe; symbols.size() if none is.
  std::size_t best_pair(const std::vector<std::uint32_t>& symbols) const {
    std::size_t best = symbols.size();
    for (std::size_t i = 0; i + 1 < symbols.size(); ++i) {
      const std::string joined = table_.piece(symbols[i]) + table_.piece(symbols[i + 1]);
      if (!may_add(joined, base_, table_, options_.guard)) continue;
      if (table_.find(joined) || wanted_.contains(joined)) return i;
      if (best == symbols.size()) best = i;
    }
    return best;
  }

  const ByteLevelBase& base_;
  const ExtensionOptions& options_;
  PieceTable table_;
  std::vector<LearnedMerge> merges_;
  std::unordered_map<std::uint64_t, std::size_t> ranks_;
  std::unordered_set<std::string> wanted_;
};

}  // namespace

Extension extend_by_pieces(const ByteLevelBase& base, const std::vector<std::string>& wanted,
                           const ExtensionOptions& options) {
  check_limit(base, options);
  Extension extension;
  PieceAdder adder(base, options, wanted);
  add_missing_bytes(base, options, adder.table(), extension);
  std::size_t taken = 0;
  for (const std::string& bytes : wanted) {
    // A piece that is no whole text (a part of a character) has no borders to be cut at.
    if (is_valid_utf8(bytes) && base.pre_tokenizer.split(bytes, false).pieces.size() != 1) {
      ++extension.cut;
      continue;
    }
    switch (adder.add(bytes)) {
      case PieceAdder::Result::kKnown:
        ++extension.known;
        break;
      case PieceAdder::Result::kAdded:
        ++taken;
        break;
      case PieceAdder::Result::kUnsafe:
        ++extension.unsafe;
        break;
      case PieceAdder::Result::kNoRoom:
        ++extension.no_room;
        break;
    }
    if (options.on_progress && taken % 64 == 0) options.on_progress(adder.table().size());
  }
  const std::size_t added = adder.table().size() - base.pieces.size() - extension.byte_pieces;
  extension.intermediate = added - std::min(added, taken);
  finish(base, adder.merges(), adder.table(), extension);
  return extension;
}

}  // namespace tigerbot
