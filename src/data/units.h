#pragma once

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <limits>
#include <string>
#include <vector>

#include "base/hash.h"
#include "data/reader.h"
#include "data/recipe.h"

/// The input cut into units: what one thread reads, filters and writes as a whole, and what a run
/// that was killed does again. The cut depends on the input and the recipe alone, never on ranks or
/// threads.
namespace tigerbot::data {

/// A file, or bytes [begin, end) of a large one.
struct Piece {
  std::filesystem::path file;
  std::uint64_t size = 0;     ///< of the whole file on the disk
  std::int64_t modified = 0;  ///< nanoseconds, to see that a file has changed
  std::uint64_t begin = 0;
  std::uint64_t end = std::numeric_limits<std::uint64_t>::max();

  std::uint64_t bytes() const { return std::min(end, size) - begin; }
};

/// Neighbouring files of one source, or a part of one file.
struct Unit {
  std::size_t source = 0;  ///< index into Recipe::sources
  std::vector<Piece> pieces;
  Hash128 key;  ///< of all that its result depends on: input, source settings, document stages

  std::uint64_t bytes() const;
};

/// What a reader needs to know for one piece of a source.
ReaderOptions reader_options(const SourceSettings& source, const Piece& piece);

/// The units of all sources in the recipe's order: small files together up to run.unit_bytes,
/// large files that can be split in parts of that size. A source without files is an Error.
std::vector<Unit> plan_units(const Recipe& recipe);

/// Every file that `entry` (a stage's table) names, directly or by a folder or glob, as text that
/// changes when a file does: results that depend on a dictionary must not outlive it.
std::string stamp_of_files(const Json& entry, const std::filesystem::path& folder);

}  // namespace tigerbot::data
