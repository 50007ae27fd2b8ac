#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "data/document_file.h"
#include "data/pipeline/global_phase.h"
#include "data/statistics.h"

namespace tigerbot::data {

/// Counts what the global stages did to the documents of a unit, with examples beside the documents
/// that they duplicate.
class DuplicateCounts {
 public:
  /// `units`: all units of the run, those of an earlier run behind them.
  DuplicateCounts(const std::vector<GlobalStep>& steps, const std::vector<Unit>& units,
                  const WorkFolder& work);

  /// `drop`: nothing where every paragraph stood elsewhere.
  void count_drop(const Document& document, const DuplicateDrop* drop);
  void count_cut(const Document& before, const Document& after);
  /// A document that is left; `left` is what it measures after the stages.
  void count_kept(const Document& document, const Amount& left);

  Statistics statistics;

 private:
  Document document_of(std::uint32_t unit, std::uint64_t index);

  const std::vector<GlobalStep>& steps_;
  const std::vector<Unit>& units_;
  const WorkFolder& work_;
  std::size_t cut_step_;  ///< the step that cuts paragraphs, or how many steps there are
  Amount before_cut_;     ///< of the document that count_cut() saw last
};

/// Clusters of duplicates: how many there are of each size, and the largest.
struct DuplicateClusters {
  struct Cluster {
    std::uint32_t unit = 0;      ///< of the document that stayed
    std::uint64_t document = 0;  ///< its number in the unit
    std::uint64_t size = 0;      ///< documents, the one that stayed included
  };
  std::map<std::uint64_t, std::uint64_t> sizes;  ///< size -> number of clusters
  std::vector<Cluster> largest;
};

/// Reads all decisions in as many passes as `memory` bytes of counts ask for.
DuplicateClusters count_clusters(const std::vector<GlobalStep>& steps, std::size_t units,
                                 std::uint64_t memory);

}  // namespace tigerbot::data
