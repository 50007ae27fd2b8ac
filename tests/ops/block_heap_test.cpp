#include "ops/cpu/block_heap.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <cstring>
#include <map>

#include "base/random.h"

namespace tigerbot::cpu {
namespace {

constexpr std::size_t kMiB = std::size_t{1} << 20;

TEST(BlockHeap, NeighboursThatAreFreedBecomeOneBlock) {
  BlockHeap heap(64 * kMiB);
  char* a = heap.allocate(kMiB);
  char* b = heap.allocate(2 * kMiB);
  char* c = heap.allocate(kMiB);
  EXPECT_EQ(heap.extent(), 4 * kMiB);
  heap.release(a, kMiB);
  heap.release(c, kMiB);
  heap.release(b, 2 * kMiB);
  EXPECT_EQ(heap.kept(), 4 * kMiB);
  EXPECT_EQ(heap.allocate(4 * kMiB), a);
  EXPECT_EQ(heap.kept(), 0U);
  EXPECT_EQ(heap.extent(), 4 * kMiB);
}

TEST(BlockHeap, TheSmallestHoleThatFitsIsTaken) {
  BlockHeap heap(64 * kMiB);
  char* large = heap.allocate(8 * kMiB);
  heap.allocate(kMiB);
  char* small = heap.allocate(2 * kMiB);
  heap.allocate(kMiB);
  heap.release(large, 8 * kMiB);
  heap.release(small, 2 * kMiB);
  EXPECT_EQ(heap.allocate(2 * kMiB - 5), small);
  EXPECT_EQ(heap.allocate(3 * kMiB), large);
  EXPECT_EQ(heap.kept(), 5 * kMiB);
}

TEST(BlockHeap, MoreThanItMayKeepGoesBackAndReadsAsZero) {
  BlockHeap heap(3 * kMiB);
  char* a = heap.allocate(2 * kMiB);
  char* b = heap.allocate(2 * kMiB);
  std::memset(b, 7, 2 * kMiB);
  heap.release(a, 2 * kMiB);
  heap.release(b, 2 * kMiB);
  EXPECT_EQ(heap.kept(), 2 * kMiB);
  EXPECT_EQ(heap.allocate(4 * kMiB), a);
  EXPECT_EQ(b[0], 0);
  EXPECT_EQ(b[2 * kMiB - 1], 0);
}

// Blocks of any sizes, freed in any order, never overlap, and all of it is one hole in the end.
TEST(BlockHeap, BlocksNeverOverlap) {
  BlockHeap heap(1024 * kMiB);
  std::map<char*, std::size_t> held;
  for (std::uint64_t i = 0; i < 4000; ++i) {
    if (held.size() > 40 || (!held.empty() && random_below({1, 1, i}, 2) == 0)) {
      auto chosen = held.begin();
      std::advance(chosen, random_below({1, 2, i}, held.size()));
      for (const std::size_t at : {std::size_t{0}, chosen->second - 1}) {
        ASSERT_EQ(chosen->first[at], static_cast<char>(chosen->second % 97));
      }
      heap.release(chosen->first, chosen->second);
      held.erase(chosen);
    } else {
      const std::size_t bytes = 1 + random_below({1, 3, i}, 3 * kMiB);
      char* block = heap.allocate(bytes);
      ASSERT_EQ(reinterpret_cast<std::uintptr_t>(block) % 4096, 0U);
      block[0] = block[bytes - 1] = static_cast<char>(bytes % 97);
      const auto next = held.lower_bound(block);
      ASSERT_TRUE(next == held.end() || block + bytes <= next->first);
      if (next != held.begin()) {
        const auto before = std::prev(next);
        ASSERT_LE(before->first + before->second, block);
      }
      held.emplace(block, bytes);
    }
  }
  for (const auto& [block, bytes] : held) heap.release(block, bytes);
  EXPECT_EQ(heap.kept(), heap.extent());
  const std::size_t all = heap.extent();
  heap.allocate(all);
  EXPECT_EQ(heap.extent(), all);
}

}  // namespace
}  // namespace tigerbot::cpu
