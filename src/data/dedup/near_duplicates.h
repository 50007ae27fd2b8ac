#pragma once

#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "base/json.h"
#include "data/dedup/decisions.h"
#include "data/dedup/fingerprint.h"
#include "data/dedup/phase.h"

namespace tigerbot::data {

/// `[[stage]] kind = "near_duplicates"`.
struct NearDuplicateSettings {
  /// Documents at least this alike are duplicates: 1 minus the share of the longer one's characters
  /// that the common substrings and the small edits between them do not explain.
  double similarity = 0.75;
  /// Shorter documents, in letters and digits, are not looked at.
  int minimum_letters = 20;
  /// Which document of a cluster stays: "quality" (highest score, then longest, then first),
  /// "longest" (then first), "first".
  std::string keep = "quality";
};

/// Reads every key that the kind knows and calls finish().
NearDuplicateSettings read_near_duplicate_settings(JsonReader& reader);

/// Finds near duplicates among the documents that none of `dropped` (for each unit the decisions
/// files of the phases before; nothing at all: none) drops. Returns one decisions file for each
/// unit, as find_exact_duplicates() does. Each dropped document was compared with the very document
/// that its decision names, and is as similar as the decision says.
std::vector<std::filesystem::path> find_near_duplicates(
    std::span<const DedupUnit> units, std::span<const std::vector<std::filesystem::path>> dropped,
    const NearDuplicateSettings& settings, const DedupContext& context);

}  // namespace tigerbot::data
