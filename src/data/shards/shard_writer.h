#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string_view>

#include "data/shards/manifest.h"
#include "data/shards/shard_index.h"

namespace tigerbot::data {

/// Documents on their way into a shard, as bytes: int32 lengths in tokens, and the ids in the
/// shard's type, one document after another.
struct ShardPart {
  std::string_view lengths, ids;
  std::shared_ptr<const void> owner;  ///< keeps the bytes alive; may be empty
};

/// Writes PREFIX.bin, PREFIX.idx and PREFIX.json from parts that are asked for in order, three
/// times, and never all in memory. Each document becomes one sequence. The index comes last, so
/// that a shard that has one is whole. Fills in the manifest's total documents and tokens, and its
/// checksums; gives it as written.
ShardManifest write_shard(const std::filesystem::path& prefix, ShardType type,
                          std::size_t part_count, const std::function<ShardPart(std::size_t)>& part,
                          ShardManifest manifest);

}  // namespace tigerbot::data
