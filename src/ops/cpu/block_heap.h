#pragma once

#include <cstddef>
#include <map>
#include <set>
#include <utility>

namespace tigerbot::cpu {

/// Blocks of memory out of one growing stretch of huge pages.
///
/// A block that is freed joins its free neighbours, and the smallest free stretch that holds a new
/// block gives it: what activations leave behind is where gradients go. Fresh memory is taken only
/// where nothing freed is large enough. Not for several threads at once.
class BlockHeap {
 public:
  /// Keeps at most `most_kept` freed bytes; more go back to the kernel.
  explicit BlockHeap(std::size_t most_kept) : most_kept_(most_kept) {}

  /// What a block of so many bytes takes: whole pages.
  static std::size_t block_bytes(std::size_t bytes);

  /// A block of block_bytes(bytes), at the beginning of a page. std::bad_alloc where there is no
  /// memory.
  char* allocate(std::size_t bytes);

  /// Takes back a block that was allocated with this size.
  void release(char* block, std::size_t bytes);

  /// Freed bytes that are kept.
  std::size_t kept() const { return kept_; }

  /// Bytes that were ever given out at once: what the heap's blocks and holes span.
  std::size_t extent() const { return extent_; }

 private:
  struct Hole {
    std::size_t bytes = 0;
    std::size_t kept = 0;  // of these, not given back to the kernel
  };

  char* take_fresh(std::size_t bytes);
  void reserve(std::size_t bytes);
  void add_hole(char* begin, Hole hole);
  void remove_hole(std::map<char*, Hole>::iterator hole);

  std::map<char*, Hole> holes_;
  std::set<std::pair<std::size_t, char*>> by_size_;
  std::size_t kept_ = 0, most_kept_, extent_ = 0;
  char* fresh_ = nullptr;   // never given out: [fresh_, reserved_end_), ...
  char* usable_ = nullptr;  // ... of which what is before this may be touched
  char* reserved_end_ = nullptr;
};

}  // namespace tigerbot::cpu
