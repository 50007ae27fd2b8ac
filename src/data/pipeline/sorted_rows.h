#pragma once

#include <compare>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

#include "base/files.h"
#include "data/pipeline/shuffle.h"

/// The rows of a unit on the disk, sorted by their place in the output, in runs that fit into
/// memory:
///
///   for each run and shard: the rows of that shard, each as place (u64), document (u32),
///     copy (u32), length (u32), line
///   for each run: where each shard's rows begin, and the end (u64 each, one more than shards)
///   runs (u64), offset of the table (u64)
///
/// The bytes of the shards do not depend on how the rows are divided into runs.
namespace tigerbot::data {

/// Where a row stands among all rows of a split; no two are equal within a unit.
struct RowPlace {
  std::uint64_t place = 0;
  std::uint32_t document = 0, copy = 0;
  auto operator<=>(const RowPlace&) const = default;
};

class SortedRowsWriter {
 public:
  /// Holds at most about `memory` bytes. `shards`: all of them, ascending within a split.
  SortedRowsWriter(const std::filesystem::path& path, const std::vector<ShardRange>& shards,
                   std::uint64_t memory);
  void add(Split split, RowPlace place, std::string_view line);
  void commit();

 private:
  struct Row {
    std::uint32_t shard;
    std::uint32_t length;
    RowPlace place;
    std::uint64_t offset;
  };
  void write_run();

  AtomicFile file_;
  const std::vector<ShardRange>& shards_;
  std::uint64_t memory_;
  std::string lines_, table_;
  std::vector<Row> rows_;
  std::uint64_t runs_ = 0;
};

/// A row that was gathered: sorting these puts a shard in order.
struct GatheredRow {
  std::uint64_t place = 0;
  std::uint32_t unit = 0, document = 0, copy = 0;
  std::uint32_t length = 0;
  std::uint64_t offset = 0;
  auto operator<=>(const GatheredRow& other) const {
    return std::tie(place, unit, document, copy) <=>
           std::tie(other.place, other.unit, other.document, other.copy);
  }
  bool operator==(const GatheredRow& other) const { return (*this <=> other) == 0; }
};

/// Appends the rows of shard `shard` in the file `path` of unit `unit`: their lines to `bytes`, and
/// where they are to `rows`. A damaged file is an Error.
void gather_rows(const std::filesystem::path& path, std::size_t shard, std::uint32_t unit,
                 std::string& bytes, std::vector<GatheredRow>& rows);

}  // namespace tigerbot::data
