#pragma once

#include <filesystem>
#include <memory>
#include <string_view>

#include "data/pipeline/shuffle.h"

namespace tigerbot::data {

/// One shard: JSON lines, compressed or not, with the SHA-256 of the file as it is written. It
/// appears whole at commit() or not at all.
class ShardWriter {
 public:
  ShardWriter(const std::filesystem::path& path, const OutputSettings& settings);
  ~ShardWriter();

  void write(std::string_view lines);
  /// Ends the stream; sizes and checksum are then known, name and documents are the caller's.
  ShardSummary finish();
  void commit();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace tigerbot::data
