#include "data/dedup/decisions.h"

#include "base/error.h"
#include "data/dedup/partitioned_file.h"

namespace tigerbot::data {

void write_duplicate_decisions(const std::filesystem::path& path,
                               std::span<const DuplicateDecision> decisions) {
  write_partitioned(path, decisions, 1, [](const DuplicateDecision&) { return std::size_t{0}; });
}

std::vector<DuplicateDecision> read_duplicate_decisions(const std::filesystem::path& path) {
  std::vector<DuplicateDecision> decisions;
  read_partition(path, 1, 0, decisions);
  return decisions;
}

}  // namespace tigerbot::data
