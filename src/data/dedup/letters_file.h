#pragma once

#include <filesystem>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "data/dedup/numbering.h"
#include "data/dedup/partitioned_file.h"

/// The letters (folded_text.h) of the documents that are to be compared, plain, at a known place of
/// a file. Comparisons ask for documents in any order, and a compressed block that is unpacked for
/// each would cost more than the comparison: that work would grow with pairs times block size as
/// soon as the blocks do not fit into memory. So the documents are passed over once, in their
/// order, and what is needed of them is put aside.
namespace tigerbot::data {

/// Writes the letters of the documents `wanted` (numbers, ascending, all of `group`).
void write_letters_file(const std::filesystem::path& path, std::span<const DedupUnit> units,
                        const DocumentNumbering& numbering, std::size_t group,
                        std::span<const std::uint64_t> wanted);

/// Reads what write_letters_file() wrote for each group. Safe for many threads.
class LettersReader {
 public:
  LettersReader(const DocumentNumbering& numbering,
                std::function<std::filesystem::path(std::size_t)> file_of)
      : numbering_(numbering), file_of_(std::move(file_of)) {}

  /// `letters` is replaced; empty if the document was not wanted.
  void read(std::uint64_t number, std::u16string& letters);

 private:
  std::shared_ptr<const PartitionedBytes> file(std::size_t group);

  const DocumentNumbering& numbering_;
  std::function<std::filesystem::path(std::size_t)> file_of_;
  std::mutex mutex_;
  std::list<std::pair<std::size_t, std::shared_ptr<const PartitionedBytes>>> open_;  // newest first
};

}  // namespace tigerbot::data
