#include "data/dedup/exact_duplicates.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <limits>

#include "base/error.h"
#include "base/files.h"
#include "data/dedup/buckets.h"
#include "data/dedup/decisions_by_unit.h"
#include "data/dedup/numbering.h"
#include "data/dedup/partitioned_file.h"
#include "data/tasks.h"

namespace tigerbot::data {
namespace {

/// One document (or paragraph) of an equality search. Among equals the least by (rank, number,
/// paragraph) stays.
struct Candidate {
  Hash128 hash;
  std::uint64_t number;
  std::uint32_t paragraph;
  float rank;  ///< lower is better
};
static_assert(sizeof(Candidate) == 32);

/// Sorts one bucket and names for each candidate but the best of its equals the best.
std::vector<NumberedDecision> decide(std::vector<Candidate> candidates,
                                     const DocumentNumbering& numbering) {
  std::sort(candidates.begin(), candidates.end(), [](const Candidate& a, const Candidate& b) {
    if (a.hash != b.hash) return a.hash < b.hash;
    if (a.rank != b.rank) return a.rank < b.rank;
    if (a.number != b.number) return a.number < b.number;
    return a.paragraph < b.paragraph;
  });
  std::vector<NumberedDecision> decisions;
  std::size_t best = 0;
  for (std::size_t k = 1; k < candidates.size(); ++k) {
    if (candidates[k].hash != candidates[best].hash) {
      best = k;
    } else if (!numbering.is_earlier(candidates[k].number)) {
      decisions.push_back(
          {candidates[k].number, candidates[best].number, 1, candidates[k].paragraph});
    }
  }
  return decisions;
}

constexpr float kEarlier = -std::numeric_limits<float>::infinity();

/// The three steps that documents and paragraphs share: candidates of each group go to buckets by
/// hash, buckets are decided, decisions go back to the units.
std::vector<std::filesystem::path> find_equals(
    const DocumentNumbering& numbering, const DedupContext& context, std::string_view label,
    std::uint64_t expected,
    const std::function<std::vector<Candidate>(std::size_t group)>& candidates_of) {
  const HashBuckets buckets(expected, sizeof(Candidate), context.memory_limit);
  // Files made for another division are of no use.
  const std::filesystem::path folder =
      context.work_folder / fmt::format("{}-{}-of-{}", label, numbering.groups(), buckets.count());
  run_together(context.communicator, [&] { create_folders(folder); });
  const auto mapped = [&](std::size_t group) { return task_file(folder, "hashes", group); };
  const auto decided = [&](std::size_t bucket) { return task_file(folder, "equal", bucket); };
  const std::uint64_t bucket_bytes = 2 * sizeof(Candidate) * (expected / buckets.count() + 1);
  run_step(context, fmt::format("{}: hashes", label), numbering.groups(), 32 << 20, mapped,
           [&](std::size_t group) {
             write_partitioned<Candidate>(
                 mapped(group), candidates_of(group), buckets.count(),
                 [&](const Candidate& candidate) { return buckets.of(candidate.hash.high); });
           });
  run_step(context, fmt::format("{}: equal hashes", label), buckets.count(), bucket_bytes, decided,
           [&](std::size_t bucket) {
             std::vector<Candidate> candidates;
             for (std::size_t group = 0; group < numbering.groups(); ++group)
               read_partition(mapped(group), buckets.count(), bucket, candidates);
             write_by_group(decided(bucket), decide(std::move(candidates), numbering), numbering);
           });
  return decisions_by_unit(numbering, context, buckets.count(), decided);
}

}  // namespace

ExactDuplicateSettings read_exact_duplicate_settings(JsonReader& reader) {
  ExactDuplicateSettings settings;
  reader.ignore("kind");
  settings.paragraphs = reader.get<bool>("paragraphs", settings.paragraphs);
  settings.minimum_paragraph_characters =
      reader.get<int>("minimum_paragraph_characters", settings.minimum_paragraph_characters);
  if (settings.minimum_paragraph_characters < 1)
    fail("{} must be at least 1", reader.place("minimum_paragraph_characters"));
  reader.finish();
  return settings;
}

std::vector<std::filesystem::path> find_exact_duplicates(std::span<const DedupUnit> units,
                                                         const DedupContext& context) {
  const DocumentNumbering numbering(units, context);
  return find_equals(numbering, context, "exact", numbering.documents(), [&](std::size_t group) {
    std::vector<Candidate> candidates;
    candidates.reserve(numbering.documents_in(group));
    for (std::size_t unit = numbering.first_unit(group); unit < numbering.first_unit(group + 1);
         ++unit) {
      const FingerprintFile file(units[unit].fingerprints);
      constexpr std::uint64_t kChunk = 8192;
      for (std::uint64_t first = 0; first < file.size(); first += kChunk) {
        std::uint64_t number = numbering.first_of(unit) + first;
        for (const Fingerprint& fingerprint :
             file.read(first, std::min(kChunk, file.size() - first))) {
          const float rank = units[unit].earlier ? kEarlier : -fingerprint.quality;
          candidates.push_back({fingerprint.hash, number++, 0, rank});
        }
      }
    }
    return candidates;
  });
}

std::vector<std::filesystem::path> find_duplicate_paragraphs(
    std::span<const DedupUnit> units, std::span<const std::vector<std::filesystem::path>> dropped,
    const DedupContext& context) {
  const DocumentNumbering numbering(units, context);
  std::uint64_t paragraphs = 0;
  for (const DedupUnit& unit : units) {
    const FingerprintFile file(unit.fingerprints);
    if (!file.has_paragraphs())
      fail("{}: was made without hashes of paragraphs", unit.fingerprints.string());
    paragraphs += file.paragraphs();
  }
  return find_equals(numbering, context, "paragraphs", paragraphs, [&](std::size_t group) {
    const std::vector<bool> gone = dropped_in_group(numbering, group, dropped);
    const std::uint64_t first = numbering.first_of(numbering.first_unit(group));
    std::vector<Candidate> candidates;
    for (std::size_t unit = numbering.first_unit(group); unit < numbering.first_unit(group + 1);
         ++unit) {
      for (const ParagraphFingerprint& paragraph :
           FingerprintFile(units[unit].fingerprints).read_paragraphs()) {
        const std::uint64_t number = numbering.first_of(unit) + paragraph.document;
        if (gone[number - first]) continue;
        candidates.push_back(
            {paragraph.hash, number, paragraph.paragraph, units[unit].earlier ? kEarlier : 0.0f});
      }
    }
    return candidates;
  });
}

void cut_paragraphs(Document& document, std::span<const std::uint32_t> paragraphs) {
  if (paragraphs.empty()) return;
  const std::vector<std::string_view> parts = split_paragraphs(document.text);
  std::string kept;
  kept.reserve(document.text.size());
  auto cut = paragraphs.begin();
  for (std::size_t number = 0; number < parts.size(); ++number) {
    if (cut != paragraphs.end() && *cut == number) {
      ++cut;
    } else {
      kept += parts[number];
    }
  }
  if (cut != paragraphs.end())
    fail_internal("{}: row {} has no paragraph {}", document.origin.file, document.origin.row,
                  *cut);
  document.text = std::move(kept);
  document.edits.emplace_back("exact_duplicates.paragraph");
}

}  // namespace tigerbot::data
