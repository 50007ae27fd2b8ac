#include "data/dedup/near_duplicates.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <unordered_map>

#include "base/error.h"
#include "base/files.h"
#include "base/text.h"
#include "data/dedup/buckets.h"
#include "data/dedup/candidate_index.h"
#include "data/dedup/clusters.h"
#include "data/dedup/common_substrings.h"
#include "data/dedup/decisions_by_unit.h"
#include "data/dedup/letters_file.h"
#include "data/dedup/likely_pairs.h"
#include "data/dedup/numbering.h"
#include "data/dedup/partitioned_file.h"
#include "data/tasks.h"

namespace tigerbot::data {
namespace {

/// Rounds of Clusters; documents still undecided then are kept.
constexpr int kRounds = 6;

const std::vector<std::string> kRules{"quality", "longest", "first"};

KeepRule rule_of(const std::string& word) {
  if (word == "quality") return KeepRule::kQuality;
  return word == "longest" ? KeepRule::kLongest : KeepRule::kFirst;
}

/// Union-find over the documents of one task, so that a cluster of n costs about n comparisons.
class LocalClusters {
 public:
  bool together(std::uint64_t a, std::uint64_t b) { return root(a) == root(b); }
  void join(std::uint64_t a, std::uint64_t b) { parent_[root(a)] = root(b); }

 private:
  std::uint64_t root(std::uint64_t number) {
    for (;;) {
      const auto found = parent_.find(number);
      if (found == parent_.end() || found->second == number) return number;
      const auto above = parent_.find(found->second);
      if (above == parent_.end()) return found->second;
      found->second = above->second;
      number = found->second;
    }
  }
  std::unordered_map<std::uint64_t, std::uint64_t> parent_;
};

/// One call of find_near_duplicates().
class NearSearch {
 public:
  NearSearch(std::span<const DedupUnit> units,
             std::span<const std::vector<std::filesystem::path>> dropped,
             const NearDuplicateSettings& settings, const DedupContext& context)
      : units_(units),
        dropped_(dropped),
        settings_(settings),
        context_(context),
        numbering_(units, context),
        buckets_(numbering_.documents() * kKeys, sizeof(KeyRecord), context.memory_limit),
        letters_(numbering_, [this](std::size_t group) { return file("letters", group); }),
        // Files made for another division or threshold are of no use.
        folder_(context.work_folder / fmt::format("near-{}-of-{}-{}", numbering_.groups(),
                                                  buckets_.count(), settings.similarity)) {}

  std::vector<std::filesystem::path> run() {
    run_together(context_.communicator, [&] { create_folders(folder_); });
    step("near: keys", numbering_.groups(), 48 << 20, "keys",
         [&](std::size_t group) { write_keys(group); });
    const std::uint64_t bucket_bytes =
        3 * sizeof(KeyRecord) * (numbering_.documents() * kKeys / buckets_.count() + 1);
    step("near: candidates", buckets_.count(), bucket_bytes, "pairs",
         [&](std::size_t bucket) { write_pairs(bucket); });
    step("near: sketches", numbering_.groups(), 64 << 20, "likely",
         [&](std::size_t group) { write_likely(group); });
    step("near: texts", numbering_.groups(), 64 << 20, "letters",
         [&](std::size_t group) { write_letters(group); });
    step("near: comparisons", numbering_.groups(), 64 << 20, "similar",
         [&](std::size_t group) { compare_candidates(group); });
    return decide();
  }

 private:
  std::filesystem::path file(std::string_view name, std::size_t number) const {
    return task_file(folder_, name, number);
  }
  void step(std::string_view label, std::size_t count, std::uint64_t bytes, std::string_view name,
            const std::function<void(std::size_t)>& task) {
    run_step(
        context_, label, count, bytes, [&](std::size_t k) { return file(name, k); }, task);
  }

  void write_keys(std::size_t group) {
    const std::vector<bool> gone = dropped_in_group(numbering_, group, dropped_);
    const std::uint64_t first = numbering_.first_of(numbering_.first_unit(group));
    std::vector<KeyRecord> records;
    records.reserve(numbering_.documents_in(group) * kKeys);
    for (std::size_t unit = numbering_.first_unit(group); unit < numbering_.first_unit(group + 1);
         ++unit) {
      const FingerprintFile fingerprints(units_[unit].fingerprints);
      if (fingerprints.size() > 0 && !fingerprints.has_sketches())
        fail("{}: was made without sketches for near duplicates",
             units_[unit].fingerprints.string());
      constexpr std::uint64_t kChunk = 8192;
      for (std::uint64_t at = 0; at < fingerprints.size(); at += kChunk) {
        std::uint64_t number = numbering_.first_of(unit) + at;
        for (const Fingerprint& fingerprint :
             fingerprints.read(at, std::min(kChunk, fingerprints.size() - at))) {
          const bool takes_part =
              !gone[number - first] &&
              fingerprint.letters >= static_cast<std::uint32_t>(settings_.minimum_letters);
          if (takes_part) {
            const auto keys = keys_of(fingerprint.sketch, number);
            records.insert(records.end(), keys.begin(), keys.end());
          }
          ++number;
        }
      }
    }
    write_partitioned<KeyRecord>(
        file("keys", group), records, buckets_.count(),
        [&](const KeyRecord& record) { return buckets_.of(record.hash()); });
  }

  void write_pairs(std::size_t bucket) {
    std::vector<KeyRecord> records;
    for (std::size_t group = 0; group < numbering_.groups(); ++group)
      read_partition(file("keys", group), buckets_.count(), bucket, records);
    const std::vector<CandidatePair> pairs = candidate_pairs(records);
    write_partitioned<CandidatePair>(
        file("pairs", bucket), pairs, numbering_.groups(),
        [&](const CandidatePair& pair) { return numbering_.group_of(pair.second); });
  }

  void write_likely(std::size_t group) {
    std::vector<CandidatePair> pairs;
    for (std::size_t bucket = 0; bucket < buckets_.count(); ++bucket)
      read_partition(file("pairs", bucket), numbering_.groups(), group, pairs);
    const std::vector<LikelyPair> likely =
        likely_pairs(units_, numbering_, group, pairs, settings_.similarity);
    write_partitioned<LikelyPair>(
        file("likely", group), likely, numbering_.groups(),
        [&](const LikelyPair& pair) { return numbering_.group_of(pair.first); });
  }

  /// The letters of each document of the group that stands in a likely pair.
  void write_letters(std::size_t group) {
    std::vector<LikelyPair> pairs;
    std::vector<std::uint64_t> wanted;
    for (std::size_t other = group; other < numbering_.groups(); ++other) {
      pairs.clear();
      read_partition(file("likely", other), numbering_.groups(), group, pairs);
      for (const LikelyPair& pair : pairs) wanted.push_back(pair.first);
    }
    pairs.clear();
    read_all_partitions(file("likely", group), numbering_.groups(), pairs);
    for (const LikelyPair& pair : pairs) wanted.push_back(pair.second);
    std::sort(wanted.begin(), wanted.end());
    wanted.erase(std::unique(wanted.begin(), wanted.end()), wanted.end());
    write_letters_file(file("letters", group), units_, numbering_, group, wanted);
  }

  double compare(std::uint64_t a, std::uint64_t b) {
    static thread_local SubstringSimilarity similarity;
    static thread_local std::u16string letters_a, letters_b;
    letters_.read(a, letters_a);
    letters_.read(b, letters_b);
    return similarity(letters_a, letters_b);
  }

  void compare_candidates(std::size_t group) {
    std::vector<LikelyPair> pairs;
    read_all_partitions(file("likely", group), numbering_.groups(), pairs);
    std::sort(pairs.begin(), pairs.end(), [](const LikelyPair& a, const LikelyPair& b) {
      if (a.second != b.second) return a.second < b.second;
      return a.matches != b.matches ? a.matches > b.matches : a.first < b.first;
    });
    LocalClusters clusters;
    std::vector<SimilarPair> similar;
    for (const LikelyPair& pair : pairs) {
      if (clusters.together(pair.second, pair.first)) continue;
      const double share = compare(pair.second, pair.first);
      if (share < settings_.similarity) continue;
      clusters.join(pair.second, pair.first);
      similar.push_back({pair.first, pair.second, static_cast<float>(share), pair.quality_first,
                         pair.quality_second, pair.letters_first, pair.letters_second, 0});
    }
    write_partitioned<SimilarPair>(file("similar", group), similar, 1,
                                   [](const SimilarPair&) { return std::size_t{0}; });
  }

  /// The rounds of Clusters: rank 0 has the clusters, all ranks compare.
  std::vector<std::filesystem::path> decide() {
    std::unique_ptr<Clusters> clusters;
    run_together(context_.communicator, [&] {
      if (context_.communicator.rank() == 0)
        clusters =
            std::make_unique<Clusters>(numbering_, rule_of(settings_.keep), [&](const auto& visit) {
              for (std::size_t group = 0; group < numbering_.groups(); ++group) {
                std::vector<SimilarPair> pairs;
                read_partition(file("similar", group), 1, 0, pairs);
                for (const SimilarPair& pair : pairs) visit(pair);
              }
            });
    });
    for (int round = 0; round < kRounds; ++round) {
      std::string open_count;
      const std::filesystem::path open_file =
          file(fmt::format("open-{}", settings_.keep), static_cast<std::size_t>(round));
      run_together(context_.communicator, [&] {
        if (!clusters) return;
        const std::vector<NumberedDecision> open = clusters->open_pairs();
        if (!open.empty()) write_by_group(open_file, open, numbering_);
        open_count = open.empty() ? "" : "open";
      });
      if (from_first_rank(context_.communicator, open_count).empty()) break;
      const std::string name = fmt::format("round-{}-{}", settings_.keep, round);
      step("near: best of clusters", numbering_.groups(), 64 << 20, name, [&](std::size_t group) {
        std::vector<NumberedDecision> open, passed;
        read_partition(open_file, numbering_.groups(), group, open);
        for (NumberedDecision pair : open) {
          pair.similarity = static_cast<float>(compare(pair.dropped, pair.kept));
          if (pair.similarity >= static_cast<float>(settings_.similarity)) passed.push_back(pair);
        }
        write_by_group(file(name, group), passed, numbering_);
      });
      run_together(context_.communicator, [&] {
        if (!clusters) return;
        for (std::size_t group = 0; group < numbering_.groups(); ++group) {
          std::vector<NumberedDecision> passed;
          read_partition(file(name, group), numbering_.groups(), group, passed);
          for (const NumberedDecision& pair : passed) clusters->decide(pair);
        }
      });
    }
    const std::filesystem::path decided = folder_ / fmt::format("decided-{}", settings_.keep);
    run_together(context_.communicator, [&] {
      if (clusters) write_by_group(decided, clusters->decisions(), numbering_);
    });
    auto paths = decisions_by_unit(numbering_, context_, 1, [&](std::size_t) { return decided; });
    // The letters are as large as the texts they are of; nobody needs them again.
    run_together(context_.communicator, [&] {
      if (!clusters) return;
      for (std::size_t group = 0; group < numbering_.groups(); ++group)
        std::filesystem::remove(file("letters", group));
    });
    return paths;
  }

  std::span<const DedupUnit> units_;
  std::span<const std::vector<std::filesystem::path>> dropped_;
  const NearDuplicateSettings& settings_;
  const DedupContext& context_;
  DocumentNumbering numbering_;
  HashBuckets buckets_;
  LettersReader letters_;
  std::filesystem::path folder_;
};

}  // namespace

NearDuplicateSettings read_near_duplicate_settings(JsonReader& reader) {
  NearDuplicateSettings settings;
  reader.ignore("kind");
  settings.similarity = reader.get<double>("similarity", settings.similarity);
  if (!(settings.similarity >= 0.5 && settings.similarity <= 1))
    fail("{} must be from 0.5 to 1", reader.place("similarity"));
  settings.minimum_letters = reader.get<int>("minimum_letters", settings.minimum_letters);
  if (settings.minimum_letters < 8) fail("{} must be at least 8", reader.place("minimum_letters"));
  settings.keep = reader.get<std::string>("keep", settings.keep);
  if (std::find(kRules.begin(), kRules.end(), settings.keep) == kRules.end())
    fail("{} must be \"quality\", \"longest\" or \"first\", not {}{}", reader.place("keep"),
         quote(settings.keep), did_you_mean(settings.keep, kRules));
  reader.finish();
  return settings;
}

std::vector<std::filesystem::path> find_near_duplicates(
    std::span<const DedupUnit> units, std::span<const std::vector<std::filesystem::path>> dropped,
    const NearDuplicateSettings& settings, const DedupContext& context) {
  return NearSearch(units, dropped, settings, context).run();
}

}  // namespace tigerbot::data
