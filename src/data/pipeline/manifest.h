#pragma once

#include <cstddef>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "base/json.h"
#include "data/mixture.h"
#include "data/pipeline/shuffle.h"
#include "data/recipe.h"
#include "data/statistics.h"

/// What a run says of itself: manifest.json, which programs check, and report.json, which people
/// look at through report.html.
namespace tigerbot::data {

/// Everything that is known at the end of a run.
struct RunFacts {
  const Recipe* recipe = nullptr;
  std::string key;  ///< names settings and input
  MixturePlan plan;
  std::vector<SourceSupply> supplies;
  Statistics documents, duplicates;  ///< of the document stages; of the global stages
  std::map<std::string, Statistics> by_source, duplicates_by_source;
  OutputAmounts output;
  std::vector<ShardSummary> shards;
  std::vector<std::string> global_steps;
  Json clusters;
  bool tokens_counted = false;
  // Not reproducible, and only in the report.
  Json seconds;
  int threads = 1, ranks = 1;
  std::size_t units = 0;
};

/// Recipe, versions, mixture, counts, and each shard with its size and checksum; the same bytes
/// whenever the output is the same.
Json manifest_json(const RunFacts& facts);

/// The manifest and all that the HTML report shows.
Json report_json(const RunFacts& facts);

/// True if `output` holds a whole output of this key: a manifest, and every shard with its size.
bool manifest_holds(const std::filesystem::path& output, const std::string& key);

}  // namespace tigerbot::data
