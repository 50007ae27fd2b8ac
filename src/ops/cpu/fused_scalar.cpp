// The fused kernels in plain C++: what every processor runs, and what the others must match.

#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>

#include "ops/cpu/fused_kernels.h"

namespace tigerbot::cpu {
namespace {

using Bf16 = std::uint16_t;

struct S {
  using V = float;
  static constexpr std::int64_t kWidth = 1;
  static constexpr bool kFastReciprocal = false;

  static V zero() { return 0; }
  static V set1(float a) { return a; }
  static V load(const float* p) { return *p; }
  static V load(const Bf16* p) {
    return std::bit_cast<float>(static_cast<std::uint32_t>(*p) << 16);
  }
  static void store(float* p, V a) { *p = a; }
  static void store(Bf16* p, V a) { *p = round(a); }
  template <typename T>
  static V load_n(const T* p, std::int64_t) {
    return load(p);
  }
  template <typename T>
  static void store_n(T* p, V a, std::int64_t) {
    store(p, a);
  }
  static void load_pairs(const float* p, V& even, V& odd) { even = p[0], odd = p[1]; }
  static void load_pairs(const Bf16* p, V& even, V& odd) { even = load(p), odd = load(p + 1); }
  template <typename T>
  static void store_pairs(T* p, V even, V odd) {
    store(p, even), store(p + 1, odd);
  }

  static float value(const float* p) { return *p; }
  static float value(const Bf16* p) { return load(p); }
  static V load_split(const std::uint16_t* high, const std::uint8_t* low) {
    return std::bit_cast<float>(static_cast<std::uint32_t>(*high) << 16 |
                                static_cast<std::uint32_t>(*low) << 8);
  }
  static void store_split(std::uint16_t* high, std::uint8_t* low, V a) {
    const std::uint32_t bits = std::bit_cast<std::uint32_t>(a) + 0x80;
    *high = static_cast<std::uint16_t>(bits >> 16);
    *low = static_cast<std::uint8_t>(bits >> 8);
  }

  static V load_master(const std::uint16_t* high, const std::int16_t* low) {
    return std::bit_cast<float>((static_cast<std::uint32_t>(*high) << 16) +
                                static_cast<std::uint32_t>(static_cast<std::int32_t>(*low)));
  }
  static void store_master(std::uint16_t* high, std::int16_t* low, V a) {
    const auto bits = std::bit_cast<std::uint32_t>(a);
    *high = static_cast<std::uint16_t>((bits + 0x8000) >> 16);
    *low = static_cast<std::int16_t>(bits);
  }

  static V add(V a, V b) { return a + b; }
  static V sub(V a, V b) { return a - b; }
  static V mul(V a, V b) { return a * b; }
  static V div(V a, V b) { return a / b; }
  static V fma(V a, V b, V c) { return a * b + c; }
  static V sqrt(V a) { return std::sqrt(a); }
  static V abs(V a) { return std::fabs(a); }
  /// b where either is not a number.
  static V max(V a, V b) { return a > b ? a : b; }
  static V min(V a, V b) { return a < b ? a : b; }
  /// a where x > 0, else b.
  static V where_positive(V x, V a, V b) { return x > 0 ? a : b; }
  static V reciprocal(V a) { return 1 / a; }
  static V keep_n(V a, std::int64_t) { return a; }
  static float sum(V a) { return a; }
  static float highest(V a) { return a; }

  /// t = whole + fraction, fraction within half of zero; infinities and huge values saturate.
  static void split(V t, V& whole, V& fraction) {
    t = min(set1(200), max(set1(-200), t));
    whole = std::nearbyintf(t);
    fraction = t - whole;
  }
  /// a * 2^whole.
  static V scale2(V a, V whole) {
    return std::isnan(whole) ? whole : std::ldexp(a, static_cast<int>(whole));
  }

  static Bf16 round(float a) {
    const auto bits = std::bit_cast<std::uint32_t>(a);
    if (a != a) return static_cast<Bf16>((bits >> 16) | 0x40);
    return static_cast<Bf16>((bits + 0x7fff + ((bits >> 16) & 1)) >> 16);
  }
};

#include "ops/cpu/fused_tables-inl.h"

}  // namespace

const FusedKernelTables kFusedScalar = kTables;

}  // namespace tigerbot::cpu
