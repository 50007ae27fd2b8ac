#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "data/shards/permutation.h"
#include "data/shards/shard_reader.h"
#include "data/shards/token_shard.h"

namespace tigerbot::data {

/// Some tokens of one document.
struct ShardPiece {
  std::uint64_t document = 0;  ///< counted over all shards of the source
  std::uint64_t first = 0;
  std::uint64_t count = 0;
};

/// The shards of one source as one list of documents, or of windows, and the order in which an
/// epoch goes through it.
class SourceOrder {
 public:
  SourceOrder(const ShardSource& source, const ShardReaderOptions& options);

  std::uint64_t documents() const { return first_document_.back(); }
  std::uint64_t tokens() const { return tokens_; }
  /// Documents, or windows, of an epoch.
  std::uint64_t items() const;

  /// The document, or the window, at a place of an epoch's order.
  std::uint64_t item(std::uint64_t epoch, std::uint64_t place);

  std::uint64_t length_of_document(std::uint64_t document) const;
  std::uint64_t length_of_window(std::uint64_t window) const;
  std::vector<ShardPiece> pieces_of_window(std::uint64_t window) const;

  /// The ids of a piece, and the one behind them if the document goes on: count or count + 1.
  std::vector<TokenId> read(const ShardPiece& piece) const;

 private:
  struct Place {
    const TokenShard* shard;
    std::uint64_t number;  // of the document or window in its shard
    std::size_t index;     // of the shard
  };
  Place place_of(std::uint64_t number, const std::vector<std::uint64_t>& first) const;

  std::vector<TokenShard> shards_;
  std::vector<std::uint64_t> first_document_{0}, first_window_{0};  // of each shard, then the total
  std::uint64_t tokens_ = 0, window_ = 0, seed_ = 0, stream_ = 0;
  std::int64_t vocabulary_size_ = 0;
  Shuffle shuffle_;
  std::uint64_t epoch_ = 0;
  std::optional<Permutation> permutation_;  // of epoch_
};

}  // namespace tigerbot::data
