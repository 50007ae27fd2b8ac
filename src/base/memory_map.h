#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string_view>

namespace tigerbot {

/// A read-only map of a whole file: nothing is copied, pages come in as they are touched, and
/// processes share them.
class MemoryMap {
 public:
  /// An Error if the file is missing, empty, unreadable or not a regular file.
  explicit MemoryMap(std::filesystem::path path);
  ~MemoryMap();
  MemoryMap(MemoryMap&& other) noexcept;
  MemoryMap& operator=(MemoryMap&& other) noexcept;

  const std::filesystem::path& path() const { return path_; }
  std::uint64_t size() const { return size_; }
  const std::byte* data() const { return data_; }
  std::span<const std::byte> bytes() const { return {data_, size_}; }
  std::string_view text() const { return {reinterpret_cast<const char*>(data_), size_}; }

  /// Bytes [offset, offset + length). An Error that names `what` and says that the file is
  /// truncated if it ends before; sums that overflow are caught too.
  std::span<const std::byte> slice(std::uint64_t offset, std::uint64_t length,
                                   std::string_view what) const;

  /// Asks the system to read the whole file ahead, in the background.
  void prefetch() const;

 private:
  void unmap() noexcept;

  std::filesystem::path path_;
  const std::byte* data_ = nullptr;
  std::uint64_t size_ = 0;
};

}  // namespace tigerbot
