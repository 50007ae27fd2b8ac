#pragma once

#include <cstdint>
#include <functional>
#include <list>
#include <vector>

namespace tigerbot {

/// Hands out the blocks of a cache and counts who holds each. A block that nobody holds is free;
/// one that was marked to be kept stays as it is for as long as others are free, the least recently
/// released going first.
class BlockAllocator {
 public:
  explicit BlockAllocator(std::int64_t num_blocks);

  std::int64_t num_blocks() const { return static_cast<std::int64_t>(blocks_.size()); }
  /// That allocate() can give, kept ones included.
  std::int64_t free_blocks() const {
    return static_cast<std::int64_t>(free_.size() + unused_.size());
  }
  /// That nobody holds but whose content is kept.
  std::int64_t kept_blocks() const { return static_cast<std::int64_t>(unused_.size()); }

  /// A block with one holder. Ask free_blocks first.
  std::int32_t allocate();
  /// One more holder.
  void share(std::int32_t block);
  /// One holder fewer.
  void release(std::int32_t block);
  /// How many hold it.
  std::int64_t holders(std::int32_t block) const {
    return blocks_[static_cast<std::size_t>(block)].holders;
  }

  /// Its content is worth keeping when nobody holds it.
  void keep(std::int32_t block);

  /// Told of a kept block that is about to be used for something else.
  void on_evict(std::function<void(std::int32_t)> listener) { evicted_ = std::move(listener); }

 private:
  struct Block {
    std::int64_t holders = 0;
    bool kept = false;
    std::list<std::int32_t>::iterator place;  // in unused_, where kept and without holders
  };

  std::vector<Block> blocks_;
  std::vector<std::int32_t> free_;  // the next one to give out is last
  std::list<std::int32_t> unused_;  // the least recently released first
  std::function<void(std::int32_t)> evicted_;
};

}  // namespace tigerbot
