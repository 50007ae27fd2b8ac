#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "data/readers/byte_source.h"

namespace tigerbot::data {

struct HelperLimits {
  std::uint64_t cpu_seconds = 600;
  std::uint64_t memory_bytes = 4ull << 30;  ///< of address space
};

/// What a helper program writes to its stdout. Formats whose libraries are large and have a history
/// of crashing on damaged files (PDF, Parquet) are read by a process of their own, with limits:
/// what goes wrong there is one bad input here, and the main program starts without their
/// libraries. A helper that fails throws DamagedInput with the last line of its stderr once its
/// output has been read. `name` is the helper's file name; it stands beside the running program or
/// where the build put it. An Error that says `missing` if it is not there.
std::unique_ptr<ByteSource> run_helper(const std::string& name,
                                       const std::vector<std::string>& arguments,
                                       const HelperLimits& limits, const std::string& missing);

/// A file under a temporary name that goes with this object.
class TemporaryFile {
 public:
  /// Filled from `source`; a full disk is a failure Error.
  explicit TemporaryFile(ByteSource& source);
  ~TemporaryFile();
  TemporaryFile(const TemporaryFile&) = delete;
  TemporaryFile& operator=(const TemporaryFile&) = delete;

  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

}  // namespace tigerbot::data
