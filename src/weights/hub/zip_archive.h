#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "base/memory_map.h"

namespace tigerbot {

/// Reads a zip archive, as Python wheels are: stored and deflated entries, zip64, no encryption
/// (APPNOTE 6.3.10). Every offset and length is checked against the file before it is used.
class ZipArchive {
 public:
  struct Entry {
    std::string name;
    std::uint64_t size = 0;  ///< bytes when unpacked
    std::uint64_t compressed_size = 0;
    std::uint64_t header_offset = 0;
    std::uint32_t crc = 0;
    std::uint16_t method = 0;
  };

  /// An Error if the file is no zip archive or is damaged.
  explicit ZipArchive(const std::filesystem::path& path);

  const std::vector<Entry>& entries() const { return entries_; }

  /// Unpacks one entry into the file `to`, which appears whole or not at all; checks size and CRC.
  void extract(const Entry& entry, const std::filesystem::path& to) const;

 private:
  MemoryMap file_;
  std::vector<Entry> entries_;
};

}  // namespace tigerbot
