#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "data/dedup/decisions.h"
#include "data/dedup/fingerprint.h"
#include "data/document_file.h"
#include "data/pipeline/work_folder.h"
#include "data/recipe.h"
#include "data/units.h"
#include "parallel/communicator.h"

/// The second phase: stages that look at all documents at once, exact and near duplicates.
namespace tigerbot::data {

/// What one global stage decided: a decisions file for each unit.
struct GlobalStep {
  std::string kind;  ///< "exact_duplicates", "exact_duplicates.paragraphs", "near_duplicates"
  std::vector<std::filesystem::path> decisions;
  std::filesystem::path folder;  ///< where they lie
  bool paragraphs() const { return kind == "exact_duplicates.paragraphs"; }
};

/// What the duplicate stages of a recipe need written down of every document; nothing where there
/// are none.
std::optional<FingerprintSettings> fingerprint_settings(const Recipe& recipe);

/// Checks the settings of the global stages; an Error names what is wrong.
void check_global_stages(const Recipe& recipe);

/// Where the fingerprints of a unit lie.
std::filesystem::path fingerprints_of(const WorkFolder& work, const Unit& unit,
                                      const FingerprintSettings& settings);

/// What of the recipe and the input the decisions depend on.
Hash128 global_key(const Recipe& recipe, const std::vector<Unit>& units,
                   const std::vector<Unit>& earlier);

/// Runs the stages in order; each sees what those before it have left. `earlier` are units of an
/// earlier run's output, which are never dropped and whose numbers follow those of `units`. Every
/// rank gets the same.
std::vector<GlobalStep> run_global_stages(const Recipe& recipe, const std::vector<Unit>& units,
                                          const std::vector<Unit>& earlier, const WorkFolder& work,
                                          Communicator& communicator, bool show_progress);

/// A document that a global stage drops, and in favour of which.
struct DuplicateDrop {
  std::size_t step = 0;  ///< index into the steps
  DuplicateDecision decision;
};

/// The decisions about one unit, by document.
class UnitDecisions {
 public:
  UnitDecisions(const std::vector<GlobalStep>& steps, std::size_t unit);

  /// Why document `index` goes; nothing if it stays.
  const DuplicateDrop* drop_of(std::uint64_t index) const;
  /// The paragraphs of document `index` that go.
  std::vector<std::uint32_t> cut_paragraphs_of(std::uint64_t index) const;
  const std::vector<DuplicateDrop>& drops() const { return drops_; }

 private:
  std::vector<DuplicateDrop> drops_;           ///< by document
  std::vector<DuplicateDecision> paragraphs_;  ///< by document
};

/// The documents of a unit that the global stages leave, in order, duplicate paragraphs cut.
class KeptDocuments {
 public:
  KeptDocuments(const std::filesystem::path& documents, const UnitDecisions& decisions);

  /// The next one; index() is then its number in the document file.
  std::optional<Document> next();
  std::uint64_t index() const { return index_; }

  /// Called for each document that is passed over because it duplicates another, or because all of
  /// its paragraphs do (then without a drop), before next() returns.
  std::function<void(const Document&, const DuplicateDrop*)> on_dropped;
  /// Called for each document that lost paragraphs and goes on.
  std::function<void(const Document& before, const Document& after)> on_cut;

 private:
  DocumentFile file_;
  const UnitDecisions& decisions_;
  std::uint64_t next_ = 0, index_ = 0;
};

}  // namespace tigerbot::data
