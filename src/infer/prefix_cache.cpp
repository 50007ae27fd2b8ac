#include "infer/prefix_cache.h"

#include "base/hash.h"

namespace tigerbot {

PrefixKey prefix_key(const PrefixKey& before, std::span<const TokenId> tokens) {
  Digest digest(Digest::Kind::kSha256);
  digest.update(before);
  digest.update("\n");
  digest.update({reinterpret_cast<const char*>(tokens.data()), tokens.size_bytes()});
  return digest.finish_hex();
}

PrefixCache::PrefixCache(BlockAllocator& allocator) : allocator_(allocator) {
  allocator_.on_evict([this](std::int32_t block) {
    const auto key = keys_.find(block);
    if (key == keys_.end()) return;
    blocks_.erase(key->second);
    keys_.erase(key);
  });
}

std::int64_t PrefixCache::count(std::span<const PrefixKey> keys) const {
  std::int64_t found = 0;
  for (const PrefixKey& key : keys) {
    if (!blocks_.contains(key)) break;
    ++found;
  }
  return found;
}

std::vector<std::int32_t> PrefixCache::take(std::span<const PrefixKey> keys) {
  std::vector<std::int32_t> found;
  for (const PrefixKey& key : keys) {
    const auto block = blocks_.find(key);
    if (block == blocks_.end()) break;
    allocator_.share(block->second);
    found.push_back(block->second);
  }
  return found;
}

void PrefixCache::insert(const PrefixKey& key, std::int32_t block) {
  if (keys_.contains(block) || !blocks_.emplace(key, block).second) return;
  keys_.emplace(block, key);
  allocator_.keep(block);
}

}  // namespace tigerbot
