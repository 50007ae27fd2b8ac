// The index of a token shard: every document of an index that opens is asked for, against a .bin
// file of the size that the index speaks of and of a smaller one.

#include <cstddef>
#include <cstdint>
#include <span>

#include "base/error.h"
#include "data/shards/shard_index.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace tigerbot;
  const auto bytes = std::as_bytes(std::span(data, size));
  try {
    const data::ShardIndex index(bytes, "fuzz.idx");
    const std::uint64_t end = index.end();
    for (const std::uint64_t bin_size : {end, end / 2}) {
      // Documents cost 8 bytes of the file each: no count runs away.
      for (std::uint64_t document = 0; document <= index.documents(); ++document) {
        try {
          const auto place = index.document(document, bin_size);
          if (place.begin > place.end || place.end > bin_size) __builtin_trap();
          if (document == index.documents()) __builtin_trap();
        } catch (const Error&) {
        }
      }
    }
  } catch (const Error&) {
  }
  return 0;
}
