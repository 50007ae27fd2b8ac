#pragma once

#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "base/json.h"
#include "data/dedup/decisions.h"
#include "data/dedup/fingerprint.h"
#include "data/dedup/phase.h"
#include "data/document.h"

namespace tigerbot::data {

/// `[[stage]] kind = "exact_duplicates"`.
struct ExactDuplicateSettings {
  bool paragraphs = false;                ///< also cut paragraphs that stand in another document
  int minimum_paragraph_characters = 50;  ///< shorter paragraphs are left alone
};

/// Reads every key that the kind knows and calls finish().
ExactDuplicateSettings read_exact_duplicate_settings(JsonReader& reader);

/// Documents whose normalized texts have the same 128-bit hash: all but one go (one of an earlier
/// run stays, else the one of highest quality score, else the first). Returns one decisions file
/// for each unit, in their order, under context.work_folder; files that are there already are not
/// made again. Every rank returns the same. Memory: the units are read in buckets by hash, so that
/// context.memory_limit holds.
std::vector<std::filesystem::path> find_exact_duplicates(std::span<const DedupUnit> units,
                                                         const DedupContext& context);

/// Paragraphs of at least the minimum length whose normalized text stands in an earlier place (an
/// earlier run, an earlier document, earlier in the same document), among documents that none of
/// `dropped` (for each unit the decisions files of the phases before; nothing at all: none) drops.
/// Decisions name document and paragraph. The fingerprints must have been made with paragraphs.
std::vector<std::filesystem::path> find_duplicate_paragraphs(
    std::span<const DedupUnit> units, std::span<const std::vector<std::filesystem::path>> dropped,
    const DedupContext& context);

/// Takes the paragraphs with these numbers (ascending, as decisions give them) out of the text and
/// adds the edit "exact_duplicates.paragraph".
void cut_paragraphs(Document& document, std::span<const std::uint32_t> paragraphs);

}  // namespace tigerbot::data
