#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "data/mixture.h"
#include "data/pipeline/global_phase.h"
#include "data/recipe.h"
#include "data/statistics.h"
#include "data/units.h"
#include "parallel/communicator.h"
#include "tokenizer/tokenizer.h"

/// Which documents go out, how many times and where: a number drawn from (seed, hash of the text)
/// decides, so that nothing has to be kept in memory for each document.
///
/// For each unit a small index on the disk holds the numbers and sizes of the documents that are
/// left. A source of which a part p is wanted gives the documents whose number lies below a bound;
/// the bound is found with two histograms, which is exact to one document in 2^32.
namespace tigerbot::data {

/// One document of the index.
struct IndexEntry {
  std::uint64_t hash = 0;       ///< of the text
  std::uint32_t document = 0;   ///< its number in the unit's document file
  std::uint32_t bytes = 0;      ///< of the text
  std::uint32_t row_bytes = 0;  ///< of the line that it becomes
  std::uint32_t tokens = 0;     ///< 0 where none are counted
};

/// What a unit's index adds up to.
struct IndexSummary {
  Amount train, validation;  ///< what is there to choose from
  /// What entered each global stage and what they left, why documents went, and examples.
  Statistics statistics;
};

/// The draws of a run. All are pure functions of seed and hash.
class Draws {
 public:
  Draws(std::uint64_t seed, double validation_share);

  bool is_validation(std::uint64_t hash) const;
  /// Compared with a source's bound.
  std::uint64_t sample(std::uint64_t hash) const;
  /// Place of a copy of a document in the shuffled output.
  std::uint64_t position(std::uint64_t hash, std::uint32_t copy) const;

 private:
  std::uint64_t seed_, validation_bound_;
};

/// How often the documents of a source are taken.
struct SourceBound {
  std::uint32_t copies = 1;  ///< of every document
  std::uint64_t bound = 0;   ///< one more for documents whose sample() lies below
  bool all = false;          ///< one more for every document

  std::uint32_t copies_of(const Draws& draws, std::uint64_t hash, bool validation) const;
};

/// Indexes of all units: one file each in `folder`, made by run_tasks.
class SampleIndex {
 public:
  /// `all_units`: `units` and those of an earlier run behind them.
  SampleIndex(const Recipe& recipe, const std::vector<Unit>& units,
              const std::vector<Unit>& all_units, const std::vector<GlobalStep>& steps,
              const WorkFolder& work, std::filesystem::path folder);

  bool done(std::size_t unit) const;
  /// Writes the index of a unit; `advance` hears of documents.
  void make(std::size_t unit, const Tokenizer* tokenizer,
            const std::function<void(std::uint64_t)>& advance) const;

  std::vector<IndexEntry> read(std::size_t unit) const;
  IndexSummary summary(std::size_t unit) const;

  /// The bounds that give each source `factors` times its supply, in the mixture's measure. Every
  /// rank must call it and gets the same.
  std::vector<SourceBound> find_bounds(const std::vector<double>& factors,
                                       Communicator& communicator) const;

  const Draws& draws() const { return draws_; }

 private:
  std::filesystem::path file(std::size_t unit, std::string_view what) const;

  const Recipe& recipe_;
  const std::vector<Unit>&units_, &all_units_;
  const std::vector<GlobalStep>& steps_;
  const WorkFolder& work_;
  std::filesystem::path folder_;
  Draws draws_;
};

/// An amount in the mixture's measure.
std::uint64_t measured(const Amount& amount, Measure measure);

}  // namespace tigerbot::data
