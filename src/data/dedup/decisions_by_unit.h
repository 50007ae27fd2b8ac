#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <span>
#include <vector>

#include "data/dedup/numbering.h"
#include "data/dedup/phase.h"

namespace tigerbot::data {

/// A decision between documents by their numbers (numbering.h).
struct NumberedDecision {
  std::uint64_t dropped = 0, kept = 0;
  float similarity = 1;
  std::uint32_t paragraph = 0;
};
static_assert(sizeof(NumberedDecision) == 24);

/// Writes decisions for the groups of the dropped documents.
void write_by_group(const std::filesystem::path& path, std::span<const NumberedDecision> decisions,
                    const DocumentNumbering& numbering);

/// The last step of a phase: gathers what `count` tasks decided (file_of(task), by write_by_group)
/// into one decisions file a unit, in context.work_folder, and returns their paths.
std::vector<std::filesystem::path> decisions_by_unit(
    const DocumentNumbering& numbering, const DedupContext& context, std::size_t count,
    const std::function<std::filesystem::path(std::size_t)>& file_of);

}  // namespace tigerbot::data
