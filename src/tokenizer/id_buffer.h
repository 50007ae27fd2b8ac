#pragma once

#include <algorithm>
#include <cstring>
#include <memory>
#include <span>
#include <utility>

#include "tokenizer/tokenizer.h"

namespace tigerbot {

/// Ids that grow at the end; unlike a vector it gives room without writing it first.
class IdBuffer {
 public:
  IdBuffer() = default;
  /// Writes into memory of the caller as far as it suffices.
  IdBuffer(TokenId* memory, std::size_t capacity) : ids_(memory), capacity_(capacity) {}

  /// Room for `count` more ids after the end; commit() with how many were written.
  TokenId* room(std::size_t count) {
    if (capacity_ - size_ < count) grow(count);
    return ids_ + size_;
  }
  void commit(std::size_t count) { size_ += count; }
  void push_back(TokenId id) {
    *room(1) = id;
    commit(1);
  }
  void clear() { size_ = 0; }
  std::size_t size() const { return size_; }
  std::span<const TokenId> ids() const { return {ids_, size_}; }
  /// The memory, where it is not the caller's.
  IdBlock release() { return std::move(owned_); }

 private:
  void grow(std::size_t count) {
    const std::size_t capacity = std::max(size_ + count, capacity_ + capacity_ / 2);
    IdBlock block = allocate_ids(capacity);
    if (size_ != 0) std::memcpy(block.get(), ids_, size_ * sizeof(TokenId));
    owned_ = std::move(block);
    ids_ = owned_.get();
    capacity_ = capacity;
  }

  IdBlock owned_;
  TokenId* ids_ = nullptr;
  std::size_t size_ = 0, capacity_ = 0;
};

}  // namespace tigerbot
