#include "data/dedup/numbering.h"

#include <algorithm>

#include "base/error.h"
#include "data/dedup/decisions.h"

namespace tigerbot::data {

DocumentNumbering::DocumentNumbering(std::span<const DedupUnit> units,
                                     const DedupContext& context) {
  first_.reserve(units.size() + 1);
  first_.push_back(0);
  for (const DedupUnit& unit : units) {
    first_.push_back(first_.back() + FingerprintFile(unit.fingerprints).size());
    earlier_.push_back(unit.earlier);
  }
  // Work on a group takes up to some kilobytes a document (candidate pairs, in the worst case); and
  // there are enough groups for several threads, but not a file for every few documents.
  const std::uint64_t limit = std::clamp<std::uint64_t>(context.memory_limit / 8192, 2048, 131072);
  const std::uint64_t enough = std::clamp<std::uint64_t>(documents() / 16, 2048, limit);
  group_first_.push_back(0);
  for (std::size_t unit = 1; unit <= units.size(); ++unit)
    if (unit == units.size() || first_[unit] - first_[group_first_.back()] >= enough)
      group_first_.push_back(unit);
}

DocumentNumbering::Place DocumentNumbering::place_of(std::uint64_t number) const {
  if (number >= documents()) fail_internal("there is no document {} of {}", number, documents());
  const auto after = std::upper_bound(first_.begin(), first_.end(), number);
  const auto unit = static_cast<std::size_t>(after - first_.begin()) - 1;
  return {unit, number - first_[unit]};
}

std::size_t DocumentNumbering::group_of(std::uint64_t number) const {
  const auto after =
      std::upper_bound(group_first_.begin(), group_first_.end(), place_of(number).unit);
  return static_cast<std::size_t>(after - group_first_.begin()) - 1;
}

std::vector<bool> dropped_in_group(const DocumentNumbering& numbering, std::size_t group,
                                   std::span<const std::vector<std::filesystem::path>> dropped) {
  std::vector<bool> marks(numbering.documents_in(group), false);
  const std::uint64_t first = numbering.first_of(numbering.first_unit(group));
  for (std::size_t unit = numbering.first_unit(group); unit < numbering.first_unit(group + 1);
       ++unit) {
    if (dropped.empty()) break;
    for (const std::filesystem::path& file : dropped[unit]) {
      for (const DuplicateDecision& decision : read_duplicate_decisions(file))
        marks.at(numbering.first_of(unit) - first + decision.document) = true;
    }
  }
  return marks;
}

}  // namespace tigerbot::data
