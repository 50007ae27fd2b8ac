#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "parallel/communicator.h"

/// What the phases that look at all documents at once share. Documents are numbered by (unit, index
/// in the unit's document file), and every choice is made in that order, so that nothing depends on
/// ranks, threads or memory.
namespace tigerbot::data {

/// The documents of one unit of work, and what was written down about them.
struct DedupUnit {
  std::filesystem::path documents;     ///< a DocumentFile
  std::filesystem::path fingerprints;  ///< a FingerprintFile of the same documents
  bool earlier = false;                ///< of an earlier run: never dropped, always preferred
};

/// Where a phase runs and within what bounds. All ranks give the same values but for the
/// communicator, and see the same work folder.
struct DedupContext {
  Communicator& communicator;
  int threads = 1;                          ///< of each rank
  std::uint64_t memory_limit = 2ull << 30;  ///< bytes of each rank
  std::filesystem::path work_folder;        ///< of this phase alone; task files in it are reused
  bool show_progress = true;                ///< a bar on stderr (rank 0)
};

}  // namespace tigerbot::data
