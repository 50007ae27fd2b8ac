#include "data/dedup/decisions_by_unit.h"

#include <algorithm>
#include <tuple>

#include "data/dedup/buckets.h"
#include "data/dedup/decisions.h"
#include "data/dedup/partitioned_file.h"

namespace tigerbot::data {

void write_by_group(const std::filesystem::path& path, std::span<const NumberedDecision> decisions,
                    const DocumentNumbering& numbering) {
  write_partitioned(path, decisions, numbering.groups(), [&](const NumberedDecision& decision) {
    return numbering.group_of(decision.dropped);
  });
}

std::vector<std::filesystem::path> decisions_by_unit(
    const DocumentNumbering& numbering, const DedupContext& context, std::size_t count,
    const std::function<std::filesystem::path(std::size_t)>& file_of) {
  std::vector<std::filesystem::path> paths;
  for (std::size_t unit = 0; unit < numbering.units(); ++unit)
    paths.push_back(task_file(context.work_folder, "unit", unit));
  // The last unit's file is written last, so that it stands for its group.
  const auto last_of = [&](std::size_t group) {
    return paths[numbering.first_unit(group + 1) - 1];
  };
  const auto work = [&](std::size_t group) {
    std::vector<NumberedDecision> decisions;
    for (std::size_t task = 0; task < count; ++task)
      read_partition(file_of(task), numbering.groups(), group, decisions);
    std::sort(decisions.begin(), decisions.end(),
              [](const NumberedDecision& a, const NumberedDecision& b) {
                return std::tie(a.dropped, a.paragraph) < std::tie(b.dropped, b.paragraph);
              });
    auto next = decisions.begin();
    for (std::size_t unit = numbering.first_unit(group); unit < numbering.first_unit(group + 1);
         ++unit) {
      std::vector<DuplicateDecision> of_unit;
      const std::uint64_t end = numbering.first_of(unit) + numbering.size_of(unit);
      for (; next != decisions.end() && next->dropped < end; ++next) {
        const DocumentNumbering::Place kept = numbering.place_of(next->kept);
        of_unit.push_back({next->dropped - numbering.first_of(unit), kept.document,
                           static_cast<std::uint32_t>(kept.unit), next->similarity,
                           next->paragraph});
      }
      write_duplicate_decisions(paths[unit], of_unit);
    }
  };
  run_step(context, "decisions", numbering.groups(), 32 << 20, last_of, work);
  return paths;
}

}  // namespace tigerbot::data
