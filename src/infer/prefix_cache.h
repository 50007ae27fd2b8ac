#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "infer/block_allocator.h"
#include "tokenizer/tokenizer.h"

namespace tigerbot {

/// SHA-256 of a block's tokens and of all before it: what its keys and values depend on. Not a
/// faster hash, since whoever finds a collision would be answered from another's prompt.
using PrefixKey = std::string;

/// The key of a block of tokens that follows the block of key `before`; for a first block `before`
/// names all else that its content depends on (adapter, rotary scale).
PrefixKey prefix_key(const PrefixKey& before, std::span<const TokenId> tokens);

/// Finds blocks by what they hold, so that prompts that begin alike are computed once.
class PrefixCache {
 public:
  /// `allocator` must outlive the cache, which listens to its evictions.
  explicit PrefixCache(BlockAllocator& allocator);

  /// The blocks of the longest run of these keys from the first on; each is shared with the caller.
  std::vector<std::int32_t> take(std::span<const PrefixKey> keys);

  /// How many of them take() would find.
  std::int64_t count(std::span<const PrefixKey> keys) const;

  /// `block`, which somebody holds, has the content of this key. No effect where another has.
  void insert(const PrefixKey& key, std::int32_t block);

  std::int64_t size() const { return static_cast<std::int64_t>(blocks_.size()); }

 private:
  BlockAllocator& allocator_;
  std::unordered_map<PrefixKey, std::int32_t> blocks_;
  std::unordered_map<std::int32_t, PrefixKey> keys_;
};

}  // namespace tigerbot
