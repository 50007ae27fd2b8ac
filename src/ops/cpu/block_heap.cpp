#include "ops/cpu/block_heap.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <new>

namespace tigerbot::cpu {
namespace {

constexpr std::size_t kPage = 4096;
constexpr std::size_t kHugePage = std::size_t{1} << 21;
constexpr std::size_t kStep = std::size_t{1} << 26;  // made usable at a time

std::size_t round_up(std::size_t bytes, std::size_t unit) {
  return (bytes + unit - 1) / unit * unit;
}

std::size_t physical_memory() {
  return static_cast<std::size_t>(sysconf(_SC_PHYS_PAGES)) *
         static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
}

}  // namespace

std::size_t BlockHeap::block_bytes(std::size_t bytes) { return round_up(bytes, kPage); }

/// Reserves addresses, which cost nothing, for all that the machine could hold, or as many as the
/// process may have.
void BlockHeap::reserve(std::size_t bytes) {
  const std::size_t least = round_up(bytes, kStep) + kStep;
  for (std::size_t wanted = std::max(least, round_up(4 * physical_memory(), kStep));;
       wanted = std::max(least, round_up(wanted / 2, kStep))) {
    void* memory =
        mmap(nullptr, wanted, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) {
      if (wanted == least) throw std::bad_alloc();
      continue;
    }
    madvise(memory, wanted, MADV_HUGEPAGE);  // a wish: without huge pages all works the same
    fresh_ = reinterpret_cast<char*>(round_up(reinterpret_cast<std::uintptr_t>(memory), kHugePage));
    usable_ = fresh_;
    reserved_end_ = static_cast<char*>(memory) + wanted;
    return;
  }
}

char* BlockHeap::take_fresh(std::size_t bytes) {
  if (static_cast<std::size_t>(reserved_end_ - fresh_) < bytes) reserve(bytes);
  if (static_cast<std::size_t>(usable_ - fresh_) < bytes) {
    const std::size_t more = std::min(round_up(bytes - (usable_ - fresh_), kStep),
                                      static_cast<std::size_t>(reserved_end_ - usable_));
    if (mprotect(usable_, more, PROT_READ | PROT_WRITE) != 0) throw std::bad_alloc();
    usable_ += more;
  }
  char* block = fresh_;
  fresh_ += bytes;
  extent_ += bytes;
  return block;
}

void BlockHeap::add_hole(char* begin, Hole hole) {
  holes_.emplace(begin, hole);
  by_size_.emplace(hole.bytes, begin);
  kept_ += hole.kept;
}

void BlockHeap::remove_hole(std::map<char*, Hole>::iterator hole) {
  kept_ -= hole->second.kept;
  by_size_.erase({hole->second.bytes, hole->first});
  holes_.erase(hole);
}

char* BlockHeap::allocate(std::size_t asked) {
  const std::size_t bytes = block_bytes(asked);
  const auto smallest = by_size_.lower_bound({bytes, nullptr});
  if (smallest == by_size_.end()) return take_fresh(bytes);
  char* block = smallest->second;
  const auto found = holes_.find(block);
  const Hole hole = found->second;
  remove_hole(found);
  if (hole.bytes > bytes) {
    const std::size_t rest = hole.bytes - bytes;
    add_hole(block + bytes, {rest, std::min(rest, hole.kept)});
  }
  return block;
}

void BlockHeap::release(char* block, std::size_t asked) {
  Hole hole{block_bytes(asked), 0};
  if (kept_ + hole.bytes <= most_kept_) {
    hole.kept = hole.bytes;
  } else {
    madvise(block, hole.bytes, MADV_DONTNEED);
  }
  const auto after = holes_.find(block + hole.bytes);
  if (after != holes_.end()) {
    hole.bytes += after->second.bytes;
    hole.kept += after->second.kept;
    remove_hole(after);
  }
  auto before = holes_.lower_bound(block);
  if (before != holes_.begin()) {
    --before;
    if (before->first + before->second.bytes == block) {
      block = before->first;
      hole.bytes += before->second.bytes;
      hole.kept += before->second.kept;
      remove_hole(before);
    }
  }
  add_hole(block, hole);
}

}  // namespace tigerbot::cpu
