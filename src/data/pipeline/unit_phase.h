#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "data/document_file.h"
#include "data/pipeline/work_folder.h"
#include "data/recipe.h"
#include "data/stage.h"
#include "data/statistics.h"
#include "data/units.h"

/// The first phase: each unit is read and goes through the document stages.
namespace tigerbot::data {

/// A document that a stage dropped, as it was when it was dropped, and why.
struct DroppedDocument {
  Document document;
  std::string stage;
  Drop drop;
};

/// A dropped document in a document file: the drop stands in the metadata.
Document pack_dropped(DroppedDocument dropped);
DroppedDocument unpack_dropped(Document document);

class UnitPhase {
 public:
  UnitPhase(const Recipe& recipe, const WorkFolder& work);

  /// Names of the document stages, in order.
  std::vector<std::string> stage_names() const;

  bool done(const Unit& unit) const;

  /// Reads a unit, applies the stages, and writes its files. `advance` hears of the bytes read.
  /// Safe to call from many threads, for different units.
  void run(const Unit& unit, const std::function<void(std::uint64_t)>& advance);

  /// Counts of a unit that is done.
  Statistics statistics(const Unit& unit) const;

  /// Called for every document that the stages left, and once at the end of the unit; set by the
  /// dedup part, which writes fingerprints beside.
  struct Listener {
    virtual ~Listener() = default;
    virtual void add(const Document& document) = 0;
    virtual void commit() = 0;
  };
  std::function<std::unique_ptr<Listener>(const Unit&)> make_listener;

 private:
  void count_bad_input(const BadInput& bad);

  const Recipe& recipe_;
  const WorkFolder& work_;
  const std::shared_ptr<const DocumentStages> stages_;
  std::atomic<std::uint64_t> bad_inputs_{0};
};

}  // namespace tigerbot::data
