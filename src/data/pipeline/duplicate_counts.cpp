#include "data/pipeline/duplicate_counts.h"

#include <fmt/format.h>

#include <algorithm>
#include <tuple>
#include <unordered_map>

#include "base/hash.h"
#include "data/pipeline/rows.h"

namespace tigerbot::data {
namespace {

constexpr const char* kParagraphReason = "exact_duplicates.paragraph";
constexpr std::size_t kLargestClusters = 12;

Amount amount_of(const Document& document) {
  return {1, document.text.size(), count_characters(document.text), 0};
}

}  // namespace

DuplicateCounts::DuplicateCounts(const std::vector<GlobalStep>& steps,
                                 const std::vector<Unit>& units, const WorkFolder& work)
    : steps_(steps), units_(units), work_(work), cut_step_(steps.size()) {
  for (std::size_t k = 0; k < steps.size(); ++k)
    if (steps[k].paragraphs()) cut_step_ = k;
  statistics.entered.resize(steps.size() + 1);
}

Document DuplicateCounts::document_of(std::uint32_t unit, std::uint64_t index) {
  return DocumentFile(work_.of_unit(units_.at(unit), "documents")).read(index);
}

void DuplicateCounts::count_drop(const Document& document, const DuplicateDrop* drop) {
  const Amount amount = amount_of(document);
  const std::size_t step = drop != nullptr ? drop->step : cut_step_;
  for (std::size_t k = 0; k <= step; ++k) statistics.entered[k][document.language] += amount;
  const std::string reason = drop != nullptr ? steps_[step].kind : kParagraphReason;
  statistics.drops[reason] += amount;
  ++statistics.dropped_lengths[length_bin(amount.characters)];
  Example example;
  const std::uint64_t key = document_key(document.origin);
  example.order = key * 0x9E3779B97F4A7C15ull;
  if (!statistics.dropped.wants(reason, example.order)) return;
  example.id = fmt::format("{:016x}", key);
  example.source = document.origin.source;
  example.language = document.language;
  example.excerpt = excerpt_of(document.text);
  if (drop != nullptr) {
    const Document kept = document_of(drop->decision.kept_unit, drop->decision.kept_document);
    example.other_id = document_id(kept.origin);
    example.other = excerpt_of(kept.text);
    example.value = drop->decision.similarity;
    example.detail = fmt::format("{}: {}", kept.origin.source, kept.origin.file);
  }
  statistics.dropped.add(reason, std::move(example));
}

void DuplicateCounts::count_cut(const Document& before, const Document&) {
  before_cut_ = amount_of(before);
  ++statistics.edits[kParagraphReason];
}

void DuplicateCounts::count_kept(const Document& document, const Amount& left) {
  Amount entered = left;
  entered.tokens = 0;
  if (before_cut_.documents > 0) entered = before_cut_;
  for (std::size_t k = 0; k < steps_.size(); ++k)
    statistics.entered[k][document.language] += k <= cut_step_ ? entered : left;
  statistics.entered.back()[document.language] += left;
  before_cut_ = {};
}

DuplicateClusters count_clusters(const std::vector<GlobalStep>& steps, std::size_t units,
                                 std::uint64_t memory) {
  using Kept = std::pair<std::uint32_t, std::uint64_t>;
  struct HashKept {
    std::size_t operator()(const Kept& kept) const {
      return (kept.second << 32 ^ kept.first) * 0x9E3779B97F4A7C15ull >> 7;
    }
  };
  const auto each = [&](auto&& visit) {
    for (const GlobalStep& step : steps) {
      if (step.paragraphs()) continue;
      for (std::size_t u = 0; u < units; ++u)
        for (const DuplicateDecision& decision : read_duplicate_decisions(step.decisions[u]))
          visit(Kept{decision.kept_unit, decision.kept_document});
    }
  };
  std::uint64_t drops = 0;
  each([&](const Kept&) { ++drops; });
  const std::uint64_t passes = drops * 64 / std::max<std::uint64_t>(memory, 1) + 1;
  DuplicateClusters clusters;
  for (std::uint64_t pass = 0; pass < passes; ++pass) {
    std::unordered_map<Kept, std::uint64_t, HashKept> counts;
    each([&](const Kept& kept) {
      if (HashKept{}(kept) % passes == pass) ++counts[kept];
    });
    for (const auto& item : counts) {
      ++clusters.sizes[item.second + 1];
      clusters.largest.push_back({item.first.first, item.first.second, item.second + 1});
    }
    std::sort(clusters.largest.begin(), clusters.largest.end(), [](const auto& a, const auto& b) {
      return std::tie(b.size, a.unit, a.document) < std::tie(a.size, b.unit, b.document);
    });
    if (clusters.largest.size() > kLargestClusters) clusters.largest.resize(kLargestClusters);
  }
  return clusters;
}

}  // namespace tigerbot::data
