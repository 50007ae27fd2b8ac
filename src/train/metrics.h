#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "base/json.h"
#include "train/event_file.h"

namespace tigerbot::train {

/// The numbers of a run: metrics.jsonl, one object a line, and TensorBoard's event files.
class Metrics {
 public:
  /// Goes on with the folder's metrics.jsonl after step `step`; lines of later steps, which a
  /// killed run wrote and which come again, are removed.
  Metrics(const std::filesystem::path& folder, std::int64_t step);
  ~Metrics();

  /// Adds a line {"step": ..., ...values}; numbers go to TensorBoard as KIND/NAME too. `kind`:
  /// "train", "validation", "sample", "event".
  void add(std::int64_t step, const std::string& kind, const Json& values);

  /// All lines so far.
  const std::vector<Json>& lines() const { return lines_; }

 private:
  std::vector<Json> lines_;
  std::FILE* file_ = nullptr;
  std::unique_ptr<EventFile> events_;
};

}  // namespace tigerbot::train
