#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string_view>

#include "base/error.h"

namespace tigerbot::data {

/// The bytes of an input stop making sense here: an archive is cut off or damaged, a bomb, a disk
/// error. Everything before was handed over.
class DamagedInput : public Error {
 public:
  using Error::Error;
};

/// Bytes that come one after another.
class ByteSource {
 public:
  virtual ~ByteSource() = default;
  /// Reads at most `size` bytes into `to`; 0 only at the end. Throws DamagedInput.
  virtual std::size_t read(char* to, std::size_t size) = 0;
  /// Bytes of the file on the disk that have been used.
  virtual std::uint64_t consumed() const = 0;
};

/// The file's own bytes from `begin` on. Throws DamagedInput if it cannot be opened.
std::unique_ptr<ByteSource> open_file(const std::filesystem::path& file, std::uint64_t begin = 0);

/// Bytes in memory, which must outlive the source.
std::unique_ptr<ByteSource> open_memory(std::string_view bytes);

}  // namespace tigerbot::data
