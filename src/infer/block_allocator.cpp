#include "infer/block_allocator.h"

#include "base/error.h"

namespace tigerbot {

BlockAllocator::BlockAllocator(std::int64_t num_blocks) {
  if (num_blocks < 1) fail_internal("a cache needs at least one block");
  blocks_.resize(static_cast<std::size_t>(num_blocks));
  for (std::int64_t i = num_blocks; i > 0; --i) free_.push_back(static_cast<std::int32_t>(i - 1));
}

std::int32_t BlockAllocator::allocate() {
  std::int32_t id = 0;
  if (!free_.empty()) {
    id = free_.back();
    free_.pop_back();
  } else {
    if (unused_.empty()) fail_internal("the cache has no free block");
    id = unused_.front();
    unused_.pop_front();
    blocks_[static_cast<std::size_t>(id)].kept = false;
    if (evicted_) evicted_(id);
  }
  blocks_[static_cast<std::size_t>(id)].holders = 1;
  return id;
}

void BlockAllocator::share(std::int32_t id) {
  Block& block = blocks_[static_cast<std::size_t>(id)];
  if (block.holders == 0) {
    if (!block.kept) fail_internal("block {} is free and can't be shared", id);
    unused_.erase(block.place);
  }
  ++block.holders;
}

void BlockAllocator::release(std::int32_t id) {
  Block& block = blocks_[static_cast<std::size_t>(id)];
  if (block.holders == 0) fail_internal("block {} is released twice", id);
  if (--block.holders > 0) return;
  if (block.kept) {
    block.place = unused_.insert(unused_.end(), id);
  } else {
    free_.push_back(id);
  }
}

void BlockAllocator::keep(std::int32_t id) {
  Block& block = blocks_[static_cast<std::size_t>(id)];
  if (block.holders == 0) fail_internal("block {} is free and can't be kept", id);
  block.kept = true;
}

}  // namespace tigerbot
