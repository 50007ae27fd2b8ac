#include "ops/cpu/allocator.h"

#include <c10/core/Allocator.h>
#include <c10/core/CPUAllocator.h>
#include <unistd.h>

#include <array>
#include <bit>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <new>
#include <vector>

#include "ops/cpu/block_heap.h"

namespace tigerbot::cpu {
namespace {

/// Blocks below this are the C library's own, which keeps them anyway.
constexpr std::size_t kLeastBytes = std::size_t{1} << 16;
/// Blocks up to this would leave small holes between large ones: they are cut from slabs.
constexpr std::size_t kLargestOfSlab = std::size_t{1} << 20;
constexpr std::size_t kSlabBytes = std::size_t{1} << 23;
constexpr std::size_t kHeader = 64;  // in front of every block; keeps a cache line's alignment

constexpr std::uint32_t kOfLibrary = 0, kOfHeap = 1;  // and from 16 on, a class of slabs' blocks

struct Header {
  std::uint32_t size_class;
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

class Blocks {
 public:
  Blocks()
      : heap_(static_cast<std::size_t>(sysconf(_SC_PHYS_PAGES)) *
              static_cast<std::size_t>(sysconf(_SC_PAGESIZE)) / 4) {}

  void* allocate(std::size_t bytes) {
    const std::lock_guard lock(mutex_);
    if (bytes + kHeader > kLargestOfSlab) {
      const std::size_t whole = BlockHeap::block_bytes(bytes + kHeader);
      return with_header(heap_.allocate(whole), kOfHeap, whole);
    }
    const std::uint32_t size_class = size_class_of(bytes + kHeader);
    const std::size_t whole = class_bytes(size_class);
    std::vector<void*>& free = free_[size_class];
    if (!free.empty()) {
      void* block = free.back();
      free.pop_back();
      kept_ -= whole;
      return block;
    }
    if (slab_left_ < whole) {
      slab_ = heap_.allocate(kSlabBytes);
      slab_left_ = kSlabBytes;
    }
    char* memory = slab_;
    slab_ += whole;
    slab_left_ -= whole;
    return with_header(memory, size_class, whole);
  }

  void release(void* block) {
    const Header info = header(block);
    const std::lock_guard lock(mutex_);
    if (info.size_class == kOfHeap) {
      heap_.release(static_cast<char*>(block) - kHeader, info.bytes);
      return;
    }
    free_[info.size_class].push_back(block);
    kept_ += info.bytes;
  }

  TensorMemory memory() {
    const std::lock_guard lock(mutex_);
    return {heap_.extent(), kept_ + heap_.kept()};
  }

 private:
  static void* with_header(char* memory, std::uint32_t size_class, std::size_t bytes) {
    new (memory) Header{size_class, bytes};
    return memory + kHeader;
  }

  std::mutex mutex_;
  BlockHeap heap_;
  std::array<std::vector<void*>, kSteps * 65> free_;  // of slabs, by class
  std::size_t kept_ = 0;                              // in these
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
  new (memory) Header{kOfLibrary, whole};
  return static_cast<char*>(memory) + kHeader;
}

void release(void* data) {
  if (data == nullptr) return;
  if (header(data).size_class == kOfLibrary) {
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

TensorMemory tensor_memory() { return blocks().memory(); }

}  // namespace tigerbot::cpu
