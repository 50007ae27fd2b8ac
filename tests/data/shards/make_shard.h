#pragma once

#include <cstring>
#include <filesystem>
#include <string>
#include <vector>

#include "data/shards/shard_writer.h"

namespace tigerbot::data::testing {

using Documents = std::vector<std::vector<TokenId>>;

/// Bytes of ids in the type of a shard.
inline std::string packed_ids(const std::vector<TokenId>& ids, ShardType type) {
  std::string bytes;
  for (const TokenId id : ids) {
    const std::int64_t wide = id;  // little-endian: the low bytes come first
    bytes.append(reinterpret_cast<const char*>(&wide), shard_type_size(type));
  }
  return bytes;
}

/// Writes documents as a shard of two parts.
inline std::filesystem::path make_shard(const std::filesystem::path& prefix,
                                        const Documents& documents,
                                        ShardType type = ShardType::kUint16,
                                        const ShardManifest& manifest = {}) {
  std::string lengths[2], ids[2];
  for (std::size_t k = 0; k < documents.size(); ++k) {
    const std::size_t part = k < documents.size() / 2 ? 0 : 1;
    const auto length = static_cast<std::int32_t>(documents[k].size());
    lengths[part].append(reinterpret_cast<const char*>(&length), sizeof length);
    ids[part] += packed_ids(documents[k], type);
  }
  write_shard(
      prefix, type, 2,
      [&](std::size_t k) {
        return ShardPart{lengths[k], ids[k], nullptr};
      },
      manifest);
  return prefix;
}

/// Documents of different lengths (some empty) whose ids say where they stand: document d of source
/// s has ids s * 20,000 + d * 37 + position, all below 65,000 and so unlike one another.
inline Documents numbered_documents(std::size_t count, TokenId source, std::uint64_t longest) {
  Documents documents;
  for (std::size_t d = 0; d < count; ++d) {
    std::vector<TokenId>& document = documents.emplace_back();
    const std::uint64_t length = d % 11 == 3 ? 0 : (d * 2654435761u >> 7) % longest + 1;
    for (std::uint64_t k = 0; k < length; ++k)
      document.push_back(
          static_cast<TokenId>((source * 20000 + static_cast<TokenId>(d * 37 + k)) % 65000));
  }
  return documents;
}

}  // namespace tigerbot::data::testing
