#include "infer/prefix_cache.h"

#include <gtest/gtest.h>

namespace tigerbot {
namespace {

std::vector<PrefixKey> keys_of(const PrefixKey& salt, const std::vector<TokenId>& tokens,
                               std::size_t size) {
  std::vector<PrefixKey> keys;
  for (std::size_t i = 0; i + size <= tokens.size(); i += size) {
    keys.push_back(prefix_key(keys.empty() ? salt : keys.back(),
                              std::span<const TokenId>(tokens).subspan(i, size)));
  }
  return keys;
}

TEST(PrefixKey, DependsOnAllTokensBeforeAndOnTheSalt) {
  const auto a = keys_of("", {1, 2, 3, 4}, 2);
  EXPECT_EQ(a, keys_of("", {1, 2, 3, 4, 5}, 2));
  EXPECT_NE(a[1], keys_of("", {9, 2, 3, 4}, 2)[1]);
  EXPECT_NE(a[0], keys_of("adapter", {1, 2}, 2)[0]);
  EXPECT_NE(a[0], a[1]);
}

TEST(PrefixCache, FindsTheLongestRunAndSharesIt) {
  BlockAllocator allocator(4);
  PrefixCache cache(allocator);
  const auto keys = keys_of("", {1, 2, 3, 4, 5, 6}, 2);
  for (int i = 0; i < 3; ++i) allocator.allocate();
  cache.insert(keys[0], 0);
  cache.insert(keys[1], 1);
  EXPECT_EQ(cache.count(keys), 2);
  EXPECT_EQ(cache.take(keys), (std::vector<std::int32_t>{0, 1}));
  EXPECT_EQ(allocator.holders(0), 2);
  EXPECT_TRUE(cache.take(keys_of("other", {1, 2}, 2)).empty());
  // A second block with the same content changes nothing.
  cache.insert(keys[0], 2);
  allocator.release(2);
  EXPECT_EQ(allocator.kept_blocks(), 0);
  EXPECT_EQ(cache.size(), 2);
}

TEST(PrefixCache, ForgetsWhatIsEvicted) {
  BlockAllocator allocator(1);
  PrefixCache cache(allocator);
  const auto keys = keys_of("", {1, 2}, 2);
  cache.insert(keys[0], allocator.allocate());
  allocator.release(0);
  EXPECT_EQ(cache.count(keys), 1);
  allocator.allocate();
  EXPECT_EQ(cache.count(keys), 0);
  EXPECT_EQ(cache.size(), 0);
}

}  // namespace
}  // namespace tigerbot
