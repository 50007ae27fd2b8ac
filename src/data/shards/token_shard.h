#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>

#include "base/memory_map.h"
#include "data/shards/shard_index.h"
#include "tokenizer/tokenizer.h"

namespace tigerbot::data {

/// The token ids of many documents in Megatron's indexed dataset: PREFIX.bin holds the ids of one
/// document after another, PREFIX.idx says where each begins. Both are mapped into memory, nothing
/// is copied. Safe to use from many threads.
class TokenShard {
 public:
  /// `prefix` is the path without ".bin" and ".idx"; either ending may be there. An Error if a file
  /// is missing, broken, or does not belong to the other. Takes the same time whatever the number
  /// of documents: what it does not look at here, every access checks.
  explicit TokenShard(const std::filesystem::path& prefix);

  const std::filesystem::path& prefix() const { return prefix_; }
  std::uint64_t documents() const { return index_.documents(); }
  std::uint64_t tokens() const { return tokens_; }
  ShardType type() const { return index_.type(); }

  /// Tokens of one document.
  std::uint64_t length(std::uint64_t document) const { return span_of(document).count; }

  /// Writes `ids.size()` ids of a document from its token `first` on. An Error if the document has
  /// fewer, or an id is outside [0, vocabulary_size).
  void read(std::uint64_t document, std::uint64_t first, std::span<TokenId> ids,
            std::int64_t vocabulary_size) const;

  /// The first token of a document, counted over the whole shard; documents() gives tokens().
  std::uint64_t first_token(std::uint64_t document) const;
  /// The document that holds a token counted over the whole shard, which must be below tokens().
  std::uint64_t document_of_token(std::uint64_t token) const;

  /// Looks at every entry of the index: documents follow one another without hole or overlap.
  void check() const;

 private:
  struct Span {
    std::uint64_t first, count;  // in tokens
  };
  Span span_of(std::uint64_t document) const;

  std::filesystem::path prefix_;
  MemoryMap index_map_;
  ShardIndex index_;
  std::optional<MemoryMap> ids_;  // nothing where no document has a token
  std::uint64_t tokens_ = 0;
};

/// `path` without a ".bin" or ".idx" at its end.
std::filesystem::path shard_prefix(const std::filesystem::path& path);

}  // namespace tigerbot::data
