#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include "data/units.h"

/// Where a run keeps what it has done so far. Every file is named by a hash of all that it depends
/// on, so that a file that is there is right, and changed settings find only what still holds:
///
///   OUTPUT/work/units/HASH.documents   what the document stages of a unit left
///   OUTPUT/work/units/HASH.dropped     what they dropped, each with its reason
///   OUTPUT/work/units/HASH.json        counts and examples; written last: the unit is done
///   OUTPUT/work/HASH-exact/ ...        what the global stages found
///   OUTPUT/work/output-HASH/           shards on their way
namespace tigerbot::data {

class WorkFolder {
 public:
  explicit WorkFolder(std::filesystem::path output);

  const std::filesystem::path& output() const { return output_; }
  const std::filesystem::path& path() const { return work_; }
  std::filesystem::path lock() const { return work_ / "lock"; }

  /// `what`: "documents", "dropped", "fingerprints", "json".
  std::filesystem::path of_unit(const Unit& unit, std::string_view what) const;
  /// A folder of a step that depends on `key`: work/NAME-HASH.
  std::filesystem::path of_step(std::string_view name, const Hash128& key) const;

  /// True while another run of this output folder holds the lock.
  bool is_locked() const;

  /// Removes what killed runs left half-written. Only under the lock.
  void remove_partial_files() const;

 private:
  std::filesystem::path output_, work_;
};

}  // namespace tigerbot::data
