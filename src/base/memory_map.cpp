#include "base/memory_map.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "base/error.h"

namespace tigerbot {

MemoryMap::MemoryMap(std::filesystem::path path) : path_(std::move(path)) {
  const int descriptor = ::open(path_.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) fail("{}: cannot be read: {}", path_.string(), std::strerror(errno));
  struct stat status {};
  const int stat_result = ::fstat(descriptor, &status);
  if (stat_result != 0 || !S_ISREG(status.st_mode) || status.st_size == 0) {
    ::close(descriptor);
    if (stat_result == 0 && S_ISREG(status.st_mode)) fail("{}: is empty", path_.string());
    fail("{}: is not a regular file", path_.string());
  }
  size_ = static_cast<std::uint64_t>(status.st_size);
  void* address = ::mmap(nullptr, size_, PROT_READ, MAP_SHARED, descriptor, 0);
  const int error_number = errno;
  ::close(descriptor);
  if (address == MAP_FAILED)
    fail_internal("{}: cannot be mapped: {}", path_.string(), std::strerror(error_number));
  data_ = static_cast<const std::byte*>(address);
}

MemoryMap::~MemoryMap() { unmap(); }

MemoryMap::MemoryMap(MemoryMap&& other) noexcept
    : path_(std::move(other.path_)),
      data_(std::exchange(other.data_, nullptr)),
      size_(std::exchange(other.size_, 0)) {}

MemoryMap& MemoryMap::operator=(MemoryMap&& other) noexcept {
  if (this != &other) {
    unmap();
    path_ = std::move(other.path_);
    data_ = std::exchange(other.data_, nullptr);
    size_ = std::exchange(other.size_, 0);
  }
  return *this;
}

void MemoryMap::unmap() noexcept {
  if (data_) ::munmap(const_cast<std::byte*>(data_), size_);
}

std::span<const std::byte> MemoryMap::slice(std::uint64_t offset, std::uint64_t length,
                                            std::string_view what) const {
  if (offset > size_ || length > size_ - offset)
    fail("{}: {} needs {} bytes at {}, but the file has {}: it is truncated or damaged",
         path_.string(), what, length, offset, size_);
  return {data_ + offset, length};
}

void MemoryMap::prefetch() const { ::madvise(const_cast<std::byte*>(data_), size_, MADV_WILLNEED); }

}  // namespace tigerbot
