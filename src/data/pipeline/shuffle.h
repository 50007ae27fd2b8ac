#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "data/pipeline/rows.h"
#include "data/pipeline/sampling.h"

/// The last phase: the documents chosen, shuffled over shards of JSON lines.
///
/// Each copy of a document has a place, a number of 64 bits; a shard holds a range of places. Each
/// unit first writes its rows sorted by place (in runs that fit into memory), with a table of where
/// each shard begins; a shard then gathers its range of every unit, sorts it and compresses it. All
/// reading and writing goes forward, and a row is on the disk twice for a while.
namespace tigerbot::data {

enum class Split { kTrain, kValidation };
std::string_view split_name(Split split);

/// One shard of the output: places [begin, end] of a split.
struct ShardRange {
  Split split = Split::kTrain;
  std::uint64_t begin = 0, end = 0;  ///< both inside
  std::string name;                  ///< "train-00000.jsonl.zst"
};

/// What went into the output, by split, source and language.
struct OutputAmounts {
  std::map<std::pair<std::string, std::string>, Amount> train, validation;
  void add(const OutputAmounts& other);
  Json to_json() const;
  static OutputAmounts from_json(const Json& json);
};

/// A finished shard, as the manifest names it.
struct ShardSummary {
  std::string name;
  std::uint64_t documents = 0, raw_bytes = 0, file_bytes = 0;
  std::string sha256;
};

class Shuffle {
 public:
  /// `folder`: of this output alone.
  Shuffle(const Recipe& recipe, const std::vector<Unit>& units,
          const std::vector<GlobalStep>& steps, const WorkFolder& work, const SampleIndex& index,
          std::vector<SourceBound> bounds, std::filesystem::path folder);

  /// Cuts both splits into shards of about output.shard_bytes each, all alike. Every rank must call
  /// it and gets the same.
  void plan(Communicator& communicator);
  const std::vector<ShardRange>& shards() const { return shards_; }
  const std::vector<SourceBound>& bounds() const { return bounds_; }

  bool unit_done(std::size_t unit) const;
  /// Writes the rows of a unit, sorted; at most about `memory` bytes of them at a time.
  void scatter(std::size_t unit, std::uint64_t memory,
               const std::function<void(std::uint64_t)>& advance) const;
  OutputAmounts amounts(std::size_t unit) const;

  bool shard_done(std::size_t shard) const;
  /// Gathers, sorts and writes a shard; `advance` hears of bytes.
  void gather(std::size_t shard, const std::function<void(std::uint64_t)>& advance) const;
  ShardSummary summary(std::size_t shard) const;

  /// Moves the finished shards to the output folder and removes what stood there before; may be
  /// called again after it was cut off.
  void publish() const;
  /// Removes the sorted rows, which nobody needs once all shards are there.
  void remove_rows() const;

 private:
  std::filesystem::path rows_of(std::size_t unit, std::string_view what) const;
  std::filesystem::path shard_path(std::size_t shard) const;
  RowContext context_of(std::size_t unit) const;

  const Recipe& recipe_;
  const std::vector<Unit>& units_;
  const std::vector<GlobalStep>& steps_;
  const WorkFolder& work_;
  const SampleIndex& index_;
  std::vector<SourceBound> bounds_;
  std::filesystem::path folder_;
  std::vector<ShardRange> shards_;
};

/// True for the name of a shard that a run writes: "train-00012.jsonl".
bool is_shard_name(const std::string& name);

}  // namespace tigerbot::data
