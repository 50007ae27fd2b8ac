#include "base/hash.h"

#include <gtest/gtest.h>

#include <unordered_set>

namespace tigerbot {
namespace {

TEST(Hash128, MatchesTheReferenceValuesOfXxh3) {
  // xxhsum -H2 of an empty input and of "abc".
  EXPECT_EQ(hash128("").hex(), "99aa06d3014798d86001c324468d497f");
  EXPECT_EQ(hash128("abc").hex(), "06b05ab6733a618578af5f94892f3950");
  EXPECT_NE(hash128("abc", 1), hash128("abc"));
}

TEST(Hash128, ServesAsAKey) {
  std::unordered_set<Hash128> set;
  for (int k = 0; k < 1000; ++k) set.insert(hash128(std::to_string(k)));
  EXPECT_EQ(set.size(), 1000u);
}

// FIPS 180-4 examples.
TEST(Sha256, MatchesTheStandard) {
  EXPECT_EQ(sha256_hex(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(sha256_hex("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(sha256_hex(std::string(1000000, 'a')),
            "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

TEST(Digest, TakesPieces) {
  Digest sha256(Digest::Kind::kSha256);
  sha256.update("a");
  sha256.update("");
  sha256.update("bc");
  EXPECT_EQ(sha256.finish_hex(), sha256_hex("abc"));
  Digest sha1(Digest::Kind::kSha1);
  sha1.update("abc");
  EXPECT_EQ(sha1.finish_hex(), "a9993e364706816aba3e25717850c26c9cd0d89d");
}

}  // namespace
}  // namespace tigerbot
