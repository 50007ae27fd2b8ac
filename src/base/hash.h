#pragma once

#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace tigerbot {

/// 128-bit hash for fingerprints and tables (XXH3); not for security.
struct Hash128 {
  std::uint64_t low = 0, high = 0;

  auto operator<=>(const Hash128&) const = default;
  std::string hex() const;  ///< 32 digits, high half first
};

Hash128 hash128(std::string_view bytes, std::uint64_t seed = 0);

/// A cryptographic digest of bytes that arrive in pieces.
class Digest {
 public:
  enum class Kind { kSha256, kSha1 };

  explicit Digest(Kind kind);
  ~Digest();
  Digest(Digest&&) noexcept;
  Digest& operator=(Digest&&) noexcept;

  void update(std::string_view bytes);

  /// Lower-case hexadecimal digest of everything so far; the object is then used up.
  std::string finish_hex();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// Lower-case hexadecimal SHA-256, 64 digits.
std::string sha256_hex(std::string_view bytes);

}  // namespace tigerbot

template <>
struct std::hash<tigerbot::Hash128> {
  std::size_t operator()(const tigerbot::Hash128& value) const noexcept { return value.low; }
};
