#include "ops/cpu/allocator.h"

#include <c10/core/Allocator.h>
#include <c10/core/CPUAllocator.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <new>
#include <vector>

namespace tigerbot::cpu {
namespace {

constexpr std::size_t kHugePage = std::size_t{1} << 21;
/// Blocks below this are the C library's own, which keeps them anyway.
constexpr std::size_t kLeastBytes = std::size_t{1} << 16;
/// Blocks up to this are cut from slabs, so that they too lie in huge pages.
constexpr std::size_t kSlabBytes = std::size_t{1} << 25;
constexpr std::size_t kLargestOfSlab = kSlabBytes / 8;
constexpr std::size_t kHeader = 64;  // in front of every block; keeps a cache line's alignment

struct Header {
  std::uint32_t size_class;  // 0: the C library's
  bool of_slab;
  std::size_t bytes;  // of the block, header and all
};

Header& header(void* block) {
  return *reinterpret_cast<Header*>(static_cast<char*>(block) - kHeader);
}

/// Sixteen classes to each power of two: at most a seventeenth of a block is unused.
constexpr std::uint32_t kSteps = 16;
constexpr std::uint32_t kStepBits = 4;
std::uint32_t size_class_of(std::size_t bytes) {
  const auto power = static_cast<std::uint32_t>(std::bit_width(bytes - 1) - 1);  // 2^power < bytes
  const std::size_t part = std::size_t{1} << (power - kStepBits);
  const auto step =
      static_cast<std::uint32_t>((bytes - (std::size_t{1} << power) + part - 1) / part);
  return kSteps * power + step;  // step 1 to kSteps
}

std::size_t class_bytes(std::uint32_t size_class) {
  const std::uint32_t power = (size_class - 1) / kSteps;
  const std::uint32_t step = size_class - kSteps * power;
  return (std::size_t{1} << power) + step * (std::size_t{1} << (power - kStepBits));
}

/// Whole huge pages, aligned, from the kernel.
void* map_pages(std::size_t bytes) {
  const std::size_t reserved = bytes + kHugePage;
  void* memory =
      mmap(nullptr, reserved, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) throw std::bad_alloc();
  auto* start = static_cast<char*>(memory);
  auto* aligned = reinterpret_cast<char*>(
      (reinterpret_cast<std::uintptr_t>(start) + kHugePage - 1) / kHugePage * kHugePage);
  if (aligned > start) munmap(start, static_cast<std::size_t>(aligned - start));
  const auto tail = static_cast<std::size_t>(start + reserved - (aligned + bytes));
  if (tail > 0) munmap(aligned + bytes, tail);
  madvise(aligned, bytes, MADV_HUGEPAGE);  // a wish: without huge pages all works the same
  return aligned;
}

class Blocks {
 public:
  Blocks()
      : most_kept_(static_cast<std::size_t>(sysconf(_SC_PHYS_PAGES)) *
                   static_cast<std::size_t>(sysconf(_SC_PAGESIZE)) / 4) {}

  void* allocate(std::size_t bytes) {
    const std::uint32_t size_class = size_class_of(bytes + kHeader);
    const std::size_t whole = class_bytes(size_class);
    const std::lock_guard lock(mutex_);
    std::vector<void*>& free = free_[size_class];
    if (!free.empty()) {
      void* block = free.back();
      free.pop_back();
      kept_ -= header(block).bytes;
      return block;
    }
    const bool of_slab = whole <= kLargestOfSlab;
    const std::size_t mapped = of_slab ? whole : (whole + kHugePage - 1) / kHugePage * kHugePage;
    char* memory = nullptr;
    if (of_slab) {
      if (slab_left_ < whole) {
        slab_ = static_cast<char*>(map_pages(kSlabBytes));
        slab_left_ = kSlabBytes;
      }
      memory = slab_;
      slab_ += whole;
      slab_left_ -= whole;
    } else {
      memory = static_cast<char*>(map_pages(mapped));
    }
    new (memory) Header{size_class, of_slab, mapped};
    return memory + kHeader;
  }

  void release(void* block) {
    const Header info = header(block);
    const std::lock_guard lock(mutex_);
    if (!info.of_slab && kept_ + info.bytes > most_kept_) {
      munmap(static_cast<char*>(block) - kHeader, info.bytes);
      return;
    }
    free_[info.size_class].push_back(block);
    kept_ += info.bytes;
  }

  std::size_t kept() {
    const std::lock_guard lock(mutex_);
    return kept_;
  }

 private:
  std::mutex mutex_;
  std::array<std::vector<void*>, kSteps * 65> free_;
  std::size_t kept_ = 0;
  std::size_t most_kept_;
  char* slab_ = nullptr;
  std::size_t slab_left_ = 0;
};

/// Lives as long as the process: tensors may be freed by destructors of anything.
Blocks& blocks() {
  static auto* instance = new Blocks;
  return *instance;
}

void* allocate(std::size_t bytes) {
  if (bytes == 0) return nullptr;
  if (bytes >= kLeastBytes) return blocks().allocate(bytes);
  const std::size_t whole = (bytes + kHeader + kHeader - 1) / kHeader * kHeader;
  void* memory = std::aligned_alloc(kHeader, whole);
  if (memory == nullptr) throw std::bad_alloc();
  new (memory) Header{0, false, whole};
  return static_cast<char*>(memory) + kHeader;
}

void release(void* data) {
  if (data == nullptr) return;
  if (header(data).size_class == 0) {
    std::free(static_cast<char*>(data) - kHeader);
  } else {
    blocks().release(data);
  }
}

class TensorAllocator final : public c10::Allocator {
 public:
  c10::DataPtr allocate(std::size_t bytes) override {
    void* data = tigerbot::cpu::allocate(bytes);
    return {data, data, &release, c10::Device(c10::DeviceType::CPU)};
  }

  c10::DeleterFnPtr raw_deleter() const override { return &release; }

  void copy_data(void* to, const void* from, std::size_t bytes) const override {
    std::memcpy(to, from, bytes);
  }
};

}  // namespace

void install_tensor_allocator() {
  static TensorAllocator allocator;
  c10::SetCPUAllocator(&allocator, /*priority=*/1);
}

std::size_t kept_tensor_bytes() { return blocks().kept(); }

}  // namespace tigerbot::cpu
