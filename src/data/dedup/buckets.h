#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>

#include "data/dedup/phase.h"

namespace tigerbot::data {

/// The parts into which records are divided by their hash so that one part fits into memory.
/// Depends on the amount and the memory limit alone, not on ranks or threads.
class HashBuckets {
 public:
  HashBuckets(std::uint64_t records, std::size_t record_size, std::uint64_t memory_limit);

  std::size_t count() const { return count_; }
  /// The bucket of a well mixed hash.
  std::size_t of(std::uint64_t hash) const {
    __extension__ using Wide = unsigned __int128;
    return static_cast<std::size_t>(static_cast<Wide>(hash) * count_ >> 64);
  }

 private:
  std::size_t count_ = 1;
};

/// The threads of `context` that may work at once if each needs `bytes` of memory; at least one.
int threads_within(const DedupContext& context, std::uint64_t bytes);

/// FOLDER/NAME-000012.
std::filesystem::path task_file(const std::filesystem::path& folder, std::string_view name,
                                std::size_t number);

/// One step of a phase: runs task(k) for each k whose file_of(k) (a partitioned file) is not there
/// and whole, over ranks and threads; shows a bar.
void run_step(const DedupContext& context, std::string_view label, std::size_t count,
              std::uint64_t bytes_each,
              const std::function<std::filesystem::path(std::size_t)>& file_of,
              const std::function<void(std::size_t)>& task);

}  // namespace tigerbot::data
