#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <vector>

namespace tigerbot::data {

/// A document (or paragraph) that goes because another one says the same.
struct DuplicateDecision {
  std::uint64_t document = 0;       ///< index of the dropped document in its unit
  std::uint64_t kept_document = 0;  ///< index of the one it duplicates, in its unit
  std::uint32_t kept_unit = 0;      ///< number of that unit in the list given to the phase
  float similarity = 1;             ///< 1: equal after normalization
  std::uint64_t paragraph = 0;      ///< of duplicate paragraphs: which one of the document goes
};
static_assert(sizeof(DuplicateDecision) == 32, "no padding: its bytes go to files");

/// Writes (whole or not at all) and reads one unit's decisions, which are in the order of
/// `document`, then `paragraph`. A damaged file is an Error.
void write_duplicate_decisions(const std::filesystem::path& path,
                               std::span<const DuplicateDecision> decisions);
std::vector<DuplicateDecision> read_duplicate_decisions(const std::filesystem::path& path);

}  // namespace tigerbot::data
