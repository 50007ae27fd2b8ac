#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <new>
#include <span>
#include <string_view>

#include "tokenizer/tokenizer.h"

namespace tigerbot {

/// The ids of words met lately: short words repeat so often that looking them up beats merging them
/// again. Direct-mapped, one cache line a slot, fixed size; a collision overwrites.
class WordCache {
 public:
  static constexpr std::size_t kMaxBytes = 31;
  static constexpr std::size_t kMaxIds = 6;

  struct alignas(64) Slot {
    std::array<std::uint64_t, 4> key;  ///< the word, zero-padded; the last byte is its length
    std::array<TokenId, kMaxIds> ids;
    float extra;  ///< whatever the owner keeps beside the ids
    std::uint32_t count;
    bool holds(const std::array<std::uint64_t, 4>& other) const {
      return ((key[0] ^ other[0]) | (key[1] ^ other[1]) | (key[2] ^ other[2]) |
              (key[3] ^ other[3])) == 0;
    }
    std::span<const TokenId> tokens() const { return {ids.data(), count}; }
  };
  using Key = std::array<std::uint64_t, 4>;

  WordCache() : memory_(std::calloc(kSlots + 1, sizeof(Slot))) {
    if (!memory_) throw std::bad_alloc();
    const auto address = reinterpret_cast<std::uintptr_t>(memory_.get());
    slots_ = reinterpret_cast<Slot*>((address + alignof(Slot) - 1) & ~(alignof(Slot) - 1));
  }

  /// The key of `word`, at most kMaxBytes long. Bytes up to `readable_end` may be read.
  static Key key(std::string_view word, const char* readable_end) {
    Key key;
    if (readable_end - word.data() >= 32) {
      std::memcpy(key.data(), word.data(), 32);
      for (std::size_t i = 0; i < 4; ++i) {
        const std::size_t from = i * 8;
        if (word.size() <= from) {
          key[i] = 0;
        } else if (word.size() < from + 8) {
          key[i] &= (std::uint64_t(1) << ((word.size() - from) * 8)) - 1;
        }
      }
    } else {
      key = {};
      std::memcpy(key.data(), word.data(), word.size());
    }
    key[3] |= std::uint64_t(word.size()) << 56;
    return key;
  }

  /// The slot where `key` is or would be; it holds `key` if its key says so.
  Slot& slot(const Key& key) {
    const std::uint64_t low = fold(key[0] ^ 0x9E3779B97F4A7C15u, key[1] ^ 0xD1B54A32D192ED03u);
    const std::uint64_t high = fold(key[2] ^ 0xA0761D6478BD642Fu, key[3] ^ 0xE7037ED1A0B428DBu);
    return slots_[fold(low ^ 0x8EBC6AF09C88C6E3u, high) >> (64 - kSlotBits)];
  }

  /// Stores the ids of a word if they fit.
  static void store(Slot& slot, const Key& key, std::span<const TokenId> ids) {
    if (ids.size() > kMaxIds) return;
    slot.key = key;
    slot.count = static_cast<std::uint32_t>(ids.size());
    std::copy(ids.begin(), ids.end(), slot.ids.begin());
  }

 private:
  static constexpr int kSlotBits = 15;
  static constexpr std::size_t kSlots = std::size_t(1) << kSlotBits;

  static std::uint64_t fold(std::uint64_t a, std::uint64_t b) {
    const auto product = static_cast<unsigned __int128>(a) * b;
    return static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64);
  }

  struct FreeDeleter {
    void operator()(void* memory) const { std::free(memory); }
  };
  // From calloc, so that pages of slots never used cost nothing.
  std::unique_ptr<void, FreeDeleter> memory_;
  Slot* slots_;
};

}  // namespace tigerbot
