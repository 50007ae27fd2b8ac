#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>

#include "ops/cpu/quantized_kernels.h"

namespace tigerbot::cpu {
namespace {

#include "ops/cpu/quantized_kernels-inl.h"

float widen_half(std::uint16_t half) {
  const float size = std::bit_cast<float>((half & 0x7fffU) << 13) * 0x1p112F;
  return (half & 0x8000U) != 0 ? -size : size;
}

/// Sixteen lanes in memory, for processors without AVX2.
struct Scalar {
  struct V {
    float lane[16];
  };
  struct I {
    std::int32_t lane[16];
  };
  struct Codes {
    std::uint8_t byte[64];
  };
  struct Four {
    std::int8_t byte[4];
  };
  static constexpr int kStreamRows = 1;
  static constexpr int kTileRows = 1;
  static constexpr int kTilePanels = 1;
  static constexpr bool kNarrowDot = false;

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
  static V fma(const V& a, const V& b, const V& c) {
    return each([&](int i) { return a.lane[i] * b.lane[i] + c.lane[i]; });
  }
  static V load_floats(const float* p, int) {
    return each([&](int i) { return p[i]; });
  }
  static void store_floats(float* p, const V& v) { std::copy_n(v.lane, 16, p); }
  static I zero_int() { return I{}; }
  static I set_int(std::int32_t value) {
    I v;
    std::fill_n(v.lane, 16, value);
    return v;
  }
  static V to_floats(const I& v) {
    return each([&](int i) { return static_cast<float>(v.lane[i]); });
  }
  static Codes load_codes(const std::uint8_t* p) {
    Codes v;
    std::copy_n(p, 64, v.byte);
    return v;
  }
  static void store_codes(std::uint8_t* p, const Codes& v) { std::copy_n(v.byte, 64, p); }
  static Codes lower(const Codes& v) {
    Codes half;
    for (int i = 0; i < 64; ++i) half.byte[i] = v.byte[i] & 15;
    return half;
  }
  static Codes upper(const Codes& v) {
    Codes half;
    for (int i = 0; i < 64; ++i) half.byte[i] = v.byte[i] >> 4;
    return half;
  }
  static Four spread(const std::int8_t* p) {
    Four four;
    std::copy_n(p, 4, four.byte);
    return four;
  }
  template <bool kSmall>
  static I dot(const I& sum, const Codes& codes, const Four& four) {
    I v = sum;
    for (int i = 0; i < 16; ++i) {
      for (int j = 0; j < 4; ++j) v.lane[i] += codes.byte[4 * i + j] * four.byte[j];
    }
    return v;
  }
  static V byte_floats(const Codes& v, int j) {
    return each([&](int i) { return static_cast<float>(v.byte[4 * i + j]); });
  }
  static V load_halves(const std::uint16_t* p) {
    return each([&](int i) { return widen_half(p[i]); });
  }
  static V load_int8(const std::int8_t* p) {
    return each([&](int i) { return static_cast<float>(p[i]); });
  }
  static V load_uint8(const std::uint8_t* p) {
    return each([&](int i) { return static_cast<float>(p[i]); });
  }
  static V load_int16(const std::int16_t* p) {
    return each([&](int i) { return static_cast<float>(p[i]); });
  }

  static float round_block(const std::uint16_t* x, int count, std::int8_t* codes,
                           std::int32_t sums[2]) {
    // The largest as a pattern of bits: an infinity or NaN is larger than any number, and stays.
    std::uint32_t bits = 0;
    for (int i = 0; i < count; ++i) bits = std::max<std::uint32_t>(bits, x[i] & 0x7fffU);
    const auto largest = std::bit_cast<float>(bits << 16);
    const float scale = largest * (1.0F / 127.0F);
    const float inverse = largest > 1e-30F ? 127.0F / largest : 0.0F;
    sums[0] = sums[1] = 0;
    for (int i = 0; i < 32; ++i) {
      const float value =
          i < count ? std::bit_cast<float>(static_cast<std::uint32_t>(x[i]) << 16) : 0.0F;
      const float rounded = std::nearbyint(value * inverse);
      codes[i] = std::isfinite(rounded) ? static_cast<std::int8_t>(rounded) : std::int8_t{0};
      sums[i / 16] += codes[i];
    }
    return scale;
  }
};

}  // namespace

const QuantizedKernels kQuantizedScalar = make_quantized_kernels<Scalar>();

}  // namespace tigerbot::cpu
