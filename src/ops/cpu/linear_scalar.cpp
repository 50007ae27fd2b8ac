#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>

#include "ops/cpu/linear_kernels.h"

namespace tigerbot::cpu {
namespace {

#include "ops/cpu/linear_kernels-inl.h"

/// Sixteen float lanes in memory, for processors without AVX2.
struct FloatLanes {
  struct V {
    float lane[16];
  };
  template <class Function>
  static V each(Function fn) {
    V v;
    for (int i = 0; i < 16; ++i) v.lane[i] = fn(i);
    return v;
  }
  static V zero() { return V{}; }
  static V set(float value) {
    return each([&](int) { return value; });
  }
  static V add(const V& a, const V& b) {
    return each([&](int i) { return a.lane[i] + b.lane[i]; });
  }
  static V sub(const V& a, const V& b) {
    return each([&](int i) { return a.lane[i] - b.lane[i]; });
  }
  static V mul(const V& a, const V& b) {
    return each([&](int i) { return a.lane[i] * b.lane[i]; });
  }
  static V div(const V& a, const V& b) {
    return each([&](int i) { return a.lane[i] / b.lane[i]; });
  }
  static V fma(const V& a, const V& b, const V& c) {
    return each([&](int i) { return a.lane[i] * b.lane[i] + c.lane[i]; });
  }
  static V clamp(const V& v, float low, float high) {
    return each([&](int i) { return std::min(std::max(v.lane[i], low), high); });
  }
  static V round(const V& v) {
    return each([&](int i) { return std::nearbyint(v.lane[i]); });
  }
  static V scale_by_power(const V& v, const V& n) {
    return each([&](int i) { return std::ldexp(v.lane[i], static_cast<int>(n.lane[i])); });
  }
  static float sum(const V& v) {
    V s = v;
    for (int width = 8; width > 0; width /= 2) {
      for (int i = 0; i < width; ++i) s.lane[i] += s.lane[i + width];
    }
    return s.lane[0];
  }
  static V load_floats(const float* p, int count) {
    return each([&](int i) { return i < count ? p[i] : 0.0F; });
  }
};

struct F32 : FloatLanes {
  static constexpr std::int64_t kElementBytes = 4;
  using Word = V;
  static constexpr int kRowsOf1 = 1, kRowsOf2 = 1, kRowsOf3 = 1;
  static V round_storage(const V& v) { return v; }
  static V load_lanes(const void* p, std::int64_t offset, int count) {
    return load_floats(static_cast<const float*>(p) + offset, count);
  }
  static void store_lanes(void* p, std::int64_t offset, int count, const V& v) {
    std::copy_n(v.lane, count, static_cast<float*>(p) + offset);
  }
  static Word load_word(const char* p) {
    V v;
    __builtin_memcpy(v.lane, p, 64);
    return v;
  }
  static Word broadcast_word(const char* p) {
    float value;
    __builtin_memcpy(&value, p, 4);
    return set(value);
  }
  static V dot(const V& sum, const Word& a, const Word& b) { return fma(a, b, sum); }
};

/// Two bfloat16 of each output as floats: the products of the first, then of the second.
struct Bf16 : FloatLanes {
  static constexpr std::int64_t kElementBytes = 2;
  struct Word {
    V first, second;
  };
  static constexpr int kRowsOf1 = 1, kRowsOf2 = 1, kRowsOf3 = 1;
  static float widen(std::uint16_t bits) {
    return std::bit_cast<float>(static_cast<std::uint32_t>(bits) << 16);
  }
  /// The nearest bfloat16, ties to even.
  static std::uint16_t rounded(float value) {
    if (std::isnan(value)) return 0x7fc0;
    const auto bits = std::bit_cast<std::uint32_t>(value);
    return static_cast<std::uint16_t>((bits + 0x7fff + ((bits >> 16) & 1)) >> 16);
  }
  static V round_storage(const V& v) {
    return each([&](int i) { return widen(rounded(v.lane[i])); });
  }
  static V load_lanes(const void* p, std::int64_t offset, int count) {
    const auto* from = static_cast<const std::uint16_t*>(p) + offset;
    return each([&](int i) { return i < count ? widen(from[i]) : 0.0F; });
  }
  static void store_lanes(void* p, std::int64_t offset, int count, const V& v) {
    auto* to = static_cast<std::uint16_t*>(p) + offset;
    for (int i = 0; i < count; ++i) to[i] = rounded(v.lane[i]);
  }
  static Word load_word(const char* p) {
    std::uint16_t pairs[32];
    __builtin_memcpy(pairs, p, 64);
    return {each([&](int i) { return widen(pairs[2 * i]); }),
            each([&](int i) { return widen(pairs[2 * i + 1]); })};
  }
  static Word broadcast_word(const char* p) {
    std::uint16_t pair[2];
    __builtin_memcpy(pair, p, 4);
    return {set(widen(pair[0])), set(widen(pair[1]))};
  }
  static V dot(const V& sum, const Word& a, const Word& b) {
    return fma(a.second, b.second, fma(a.first, b.first, sum));
  }
};

}  // namespace

const LinearKernels kLinearScalarBf16 = make_linear_kernels<Bf16>();
const LinearKernels kLinearScalarF32 = make_linear_kernels<F32>();

}  // namespace tigerbot::cpu
