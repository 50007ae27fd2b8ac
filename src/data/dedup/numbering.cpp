#include "data/dedup/numbering.h"

#include <algorithm>

#include "base/error.h"
#include "data/dedup/decisions.h"

namespace tigerbot::data {
namespace {

constexpr std::size_t kOpenFiles = 64;

}  // namespace

DocumentNumbering::DocumentNumbering(std::span<const DedupUnit> units,
                                     const DedupContext& context) {
  // Work on a group takes up to some kilobytes a document (candidate pairs, in the worst case).
  const std::uint64_t enough = std::clamp<std::uint64_t>(context.memory_limit / 8192, 2048, 131072);
  first_.reserve(units.size() + 1);
  first_.push_back(0);
  group_first_.push_back(0);
  for (std::size_t unit = 0; unit < units.size(); ++unit) {
    const std::uint64_t size = FingerprintFile(units[unit].fingerprints).size();
    earlier_.push_back(units[unit].earlier);
    first_.push_back(first_.back() + size);
    if (first_.back() - first_[group_first_.back()] >= enough) group_first_.push_back(unit + 1);
  }
  if (group_first_.back() != units.size()) group_first_.push_back(units.size());
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
    for (const std::vector<std::filesystem::path>& phase : dropped) {
      for (const DuplicateDecision& decision : read_duplicate_decisions(phase.at(unit)))
        marks.at(numbering.first_of(unit) - first + decision.document) = true;
    }
  }
  return marks;
}

Fingerprint OpenFingerprints::read(std::uint64_t number) {
  const DocumentNumbering::Place place = numbering_.place_of(number);
  auto found = std::find_if(open_.begin(), open_.end(),
                            [&](const auto& file) { return file.first == place.unit; });
  if (found == open_.end()) {
    open_.emplace_front(place.unit,
                        std::make_unique<FingerprintFile>(units_[place.unit].fingerprints));
    if (open_.size() > kOpenFiles) open_.pop_back();
  } else if (found != open_.begin()) {
    open_.splice(open_.begin(), open_, found);
  }
  return open_.front().second->read(place.document);
}

}  // namespace tigerbot::data
