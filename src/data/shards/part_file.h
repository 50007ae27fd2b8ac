#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "data/shards/manifest.h"

namespace tigerbot::data {

/// The documents of a part that go into one shard.
struct PartGroup {
  std::vector<std::int32_t> lengths;  ///< tokens of each document
  std::string ids;                    ///< in the shard's type
  ShardCount total;
  std::map<std::string, ShardCount> by_source, by_language;
};

/// What tokenizing a piece of the input gives, between the runs of a job that may be killed:
///
///   magic (8 bytes), size of the JSON (u64), JSON: the counts of each group, then for each group
///   its lengths (int32) and its ids.
struct TokenizedPart {
  std::map<std::string, PartGroup> groups;  ///< by the name of the shard
  std::uint64_t empty_documents = 0;        ///< without a token, left out
  std::uint64_t bad_rows = 0;               ///< passed over
};

void write_part(const std::filesystem::path& path, const TokenizedPart& part);

/// The counts of a part, and where its arrays lie in the file.
struct PartHeader {
  struct Group {
    ShardCount total;
    std::map<std::string, ShardCount> by_source, by_language;
    std::uint64_t lengths_begin = 0, lengths_size = 0, ids_begin = 0, ids_size = 0;
  };
  std::map<std::string, Group> groups;
  std::uint64_t empty_documents = 0, bad_rows = 0;
};

/// `bytes` is the whole file; an Error that names `path` if it is damaged.
PartHeader read_part_header(std::string_view bytes, const std::string& path);

}  // namespace tigerbot::data
