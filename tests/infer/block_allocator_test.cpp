#include "infer/block_allocator.h"

#include <gtest/gtest.h>

#include <set>

#include "base/error.h"

namespace tigerbot {
namespace {

TEST(BlockAllocator, GivesOutEachBlockOnce) {
  BlockAllocator allocator(4);
  std::set<std::int32_t> blocks;
  for (int i = 0; i < 4; ++i) blocks.insert(allocator.allocate());
  EXPECT_EQ(blocks, (std::set<std::int32_t>{0, 1, 2, 3}));
  EXPECT_EQ(allocator.free_blocks(), 0);
  EXPECT_THROW(allocator.allocate(), Error);
  allocator.release(2);
  EXPECT_EQ(allocator.allocate(), 2);
}

TEST(BlockAllocator, ASharedBlockIsFreeWhenItsLastHolderLeaves) {
  BlockAllocator allocator(1);
  const std::int32_t block = allocator.allocate();
  allocator.share(block);
  EXPECT_EQ(allocator.holders(block), 2);
  allocator.release(block);
  EXPECT_EQ(allocator.free_blocks(), 0);
  allocator.release(block);
  EXPECT_EQ(allocator.free_blocks(), 1);
  EXPECT_THROW(allocator.release(block), Error);
  EXPECT_THROW(allocator.share(block), Error);
}

TEST(BlockAllocator, KeptBlocksGoLastAndTheLongestUnusedFirst) {
  BlockAllocator allocator(4);
  std::vector<std::int32_t> evicted;
  allocator.on_evict([&](std::int32_t block) { evicted.push_back(block); });
  for (int i = 0; i < 4; ++i) allocator.allocate();
  for (const std::int32_t block : {0, 1, 2}) allocator.keep(block);
  for (const std::int32_t block : {1, 0, 3, 2}) allocator.release(block);
  EXPECT_EQ(allocator.free_blocks(), 4);
  EXPECT_EQ(allocator.kept_blocks(), 3);
  EXPECT_EQ(allocator.allocate(), 3);  // nothing is lost by it
  EXPECT_TRUE(evicted.empty());
  allocator.share(1);  // used again: no longer the first to go
  allocator.release(1);
  EXPECT_EQ(allocator.allocate(), 0);
  EXPECT_EQ(allocator.allocate(), 2);
  EXPECT_EQ(allocator.allocate(), 1);
  EXPECT_EQ(evicted, (std::vector<std::int32_t>{0, 2, 1}));
  allocator.release(1);  // its content is gone: an ordinary block
  EXPECT_EQ(allocator.kept_blocks(), 0);
}

}  // namespace
}  // namespace tigerbot
