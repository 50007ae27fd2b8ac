#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

namespace tigerbot::constraint {

/// A set of bytes.
class ByteSet {
 public:
  static ByteSet of(unsigned char byte) { return range(byte, byte); }
  static ByteSet range(unsigned first, unsigned last) {
    ByteSet set;
    for (unsigned byte = first; byte <= last; ++byte) set.words_[byte / 64] |= bit(byte);
    return set;
  }

  bool contains(unsigned byte) const { return (words_[byte / 64] & bit(byte)) != 0; }
  bool empty() const { return (words_[0] | words_[1] | words_[2] | words_[3]) == 0; }
  const std::array<std::uint64_t, 4>& words() const { return words_; }
  /// The byte of a set of one.
  std::optional<unsigned char> only() const {
    int count = 0;
    unsigned byte = 0;
    for (std::size_t i = 0; i < 4; ++i) {
      count += std::popcount(words_[i]);
      if (words_[i] != 0) byte = static_cast<unsigned>(64 * i) + std::countr_zero(words_[i]);
    }
    if (count != 1) return std::nullopt;
    return static_cast<unsigned char>(byte);
  }

  friend ByteSet operator|(ByteSet a, const ByteSet& b) {
    for (std::size_t i = 0; i < 4; ++i) a.words_[i] |= b.words_[i];
    return a;
  }
  friend ByteSet operator&(ByteSet a, const ByteSet& b) {
    for (std::size_t i = 0; i < 4; ++i) a.words_[i] &= b.words_[i];
    return a;
  }
  friend bool operator==(const ByteSet&, const ByteSet&) = default;

 private:
  static std::uint64_t bit(unsigned byte) { return std::uint64_t{1} << (byte % 64); }
  std::array<std::uint64_t, 4> words_{};
};

/// Bytes in classes that no set so far tells apart.
class ByteClasses {
 public:
  std::array<std::uint8_t, 256> class_of{};
  int count = 1;

  static constexpr std::size_t kNoName = static_cast<std::size_t>(-1);

  /// Tells the members of `set` apart from the others. A set of the same `name` need not be looked
  /// at again.
  void refine(const ByteSet& set, std::size_t name) {
    if (name != kNoName) {
      if (name >= refined_.size()) refined_.resize(name + 1);
      if (refined_[name]) return;
      refined_[name] = true;
    }
    std::array<std::int16_t, 256> inside;  // by class: the new class of its members in the set
    inside.fill(-1);
    std::array<bool, 256> has_outside{};
    for (unsigned byte = 0; byte < 256; ++byte) {
      if (!set.contains(byte)) has_outside[class_of[byte]] = true;
    }
    for (std::size_t word = 0; word < 4; ++word) {
      for (std::uint64_t rest = set.words()[word]; rest != 0; rest &= rest - 1) {
        const auto byte = word * 64 + static_cast<std::size_t>(std::countr_zero(rest));
        std::uint8_t& own = class_of[byte];
        if (!has_outside[own]) continue;
        if (inside[own] < 0) inside[own] = static_cast<std::int16_t>(count++);
        own = static_cast<std::uint8_t>(inside[own]);
      }
    }
  }

 private:
  std::vector<bool> refined_;
};

}  // namespace tigerbot::constraint
