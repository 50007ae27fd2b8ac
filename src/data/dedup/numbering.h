#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "data/dedup/fingerprint.h"
#include "data/dedup/phase.h"

namespace tigerbot::data {

/// One number for each document of all units, in their order, and the groups of neighbouring units
/// that one task works on: enough documents that the number of files stays small, few enough for
/// the memory limit. Eight bytes a unit.
class DocumentNumbering {
 public:
  DocumentNumbering(std::span<const DedupUnit> units, const DedupContext& context);

  struct Place {
    std::size_t unit;
    std::uint64_t document;
  };

  std::uint64_t documents() const { return first_.back(); }
  std::size_t units() const { return first_.size() - 1; }
  std::uint64_t first_of(std::size_t unit) const { return first_[unit]; }
  std::uint64_t size_of(std::size_t unit) const { return first_[unit + 1] - first_[unit]; }
  Place place_of(std::uint64_t number) const;
  bool is_earlier(std::uint64_t number) const { return earlier_[place_of(number).unit]; }

  std::size_t groups() const { return group_first_.size() - 1; }
  /// Units of group `group`: [first_unit(group), first_unit(group + 1)).
  std::size_t first_unit(std::size_t group) const { return group_first_[group]; }
  std::size_t group_of(std::uint64_t number) const;
  std::uint64_t documents_in(std::size_t group) const {
    return first_[group_first_[group + 1]] - first_[group_first_[group]];
  }

 private:
  std::vector<std::uint64_t> first_;  // of each unit, then the number of all documents
  std::vector<bool> earlier_;
  std::vector<std::size_t> group_first_;
};

/// The documents of `group` that one of `dropped` (for each unit the decisions files of the phases
/// before; nothing at all: none) drops, as a mark for each document of the group.
std::vector<bool> dropped_in_group(const DocumentNumbering& numbering, std::size_t group,
                                   std::span<const std::vector<std::filesystem::path>> dropped);

}  // namespace tigerbot::data
