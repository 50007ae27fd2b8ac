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
  /// Room for `count` more ids after the end; commit() with how many were written.
  TokenId* room(std::size_t count) {
    if (capacity_ - size_ < count) grow(count);
    return ids_.get() + size_;
  }
  void commit(std::size_t count) { size_ += count; }
  void push_back(TokenId id) {
    *room(1) = id;
    commit(1);
  }
  void clear() { size_ = 0; }
  std::size_t size() const { return size_; }
  std::span<const TokenId> ids() const { return {ids_.get(), size_}; }
  /// Hands the memory over and starts anew.
  std::unique_ptr<TokenId[]> release() {
    size_ = capacity_ = 0;
    return std::move(ids_);
  }

 private:
  void grow(std::size_t count) {
    const std::size_t capacity = std::max(size_ + count, capacity_ + capacity_ / 2);
    auto ids = std::make_unique_for_overwrite<TokenId[]>(capacity);
    if (size_ != 0) std::memcpy(ids.get(), ids_.get(), size_ * sizeof(TokenId));
    ids_ = std::move(ids);
    capacity_ = capacity;
  }

  std::unique_ptr<TokenId[]> ids_;
  std::size_t size_ = 0, capacity_ = 0;
};

}  // namespace tigerbot
