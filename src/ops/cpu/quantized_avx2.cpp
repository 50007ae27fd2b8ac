#include <cstdint>

#include "ops/cpu/isa.h"
#include "ops/cpu/quantized_kernels.h"

#if defined(__x86_64__)
#include <immintrin.h>

namespace tigerbot::cpu {
namespace {

TIGERBOT_TARGET_BEGIN(TIGERBOT_AVX2_FEATURES)

#include "ops/cpu/quantized_kernels-inl.h"

/// Sixteen lanes in two registers.
struct Avx2 {
  struct V {
    __m256 low, high;
  };
  struct I {
    __m256i low, high;
  };
  using Codes = I;
  struct Four {
    __m256i bytes;
  };
  static constexpr int kStreamRows = 3;
  static constexpr int kTileRows = 1;
  static constexpr int kTilePanels = 1;
  static constexpr bool kNarrowDot = true;

  static V zero() { return {_mm256_setzero_ps(), _mm256_setzero_ps()}; }
  static V set(float value) { return {_mm256_set1_ps(value), _mm256_set1_ps(value)}; }
  static V add(const V& a, const V& b) {
    return {_mm256_add_ps(a.low, b.low), _mm256_add_ps(a.high, b.high)};
  }
  static V sub(const V& a, const V& b) {
    return {_mm256_sub_ps(a.low, b.low), _mm256_sub_ps(a.high, b.high)};
  }
  static V mul(const V& a, const V& b) {
    return {_mm256_mul_ps(a.low, b.low), _mm256_mul_ps(a.high, b.high)};
  }
  static V fma(const V& a, const V& b, const V& c) {
    return {_mm256_fmadd_ps(a.low, b.low, c.low), _mm256_fmadd_ps(a.high, b.high, c.high)};
  }
  static V load_floats(const float* p, int) { return {_mm256_loadu_ps(p), _mm256_loadu_ps(p + 8)}; }
  static void store_floats(float* p, const V& v) {
    _mm256_storeu_ps(p, v.low);
    _mm256_storeu_ps(p + 8, v.high);
  }
  static I zero_int() { return {_mm256_setzero_si256(), _mm256_setzero_si256()}; }
  static I set_int(std::int32_t value) {
    return {_mm256_set1_epi32(value), _mm256_set1_epi32(value)};
  }
  static V to_floats(const I& v) { return {_mm256_cvtepi32_ps(v.low), _mm256_cvtepi32_ps(v.high)}; }
  static Codes load_codes(const std::uint8_t* p) {
    return {_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)),
            _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p + 32))};
  }
  static void store_codes(std::uint8_t* p, const Codes& v) {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), v.low);
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(p + 32), v.high);
  }
  static Codes lower(const Codes& v) {
    const __m256i mask = _mm256_set1_epi8(15);
    return {_mm256_and_si256(v.low, mask), _mm256_and_si256(v.high, mask)};
  }
  static Codes upper(const Codes& v) {
    return lower({_mm256_srli_epi16(v.low, 4), _mm256_srli_epi16(v.high, 4)});
  }
  static Four spread(const std::int8_t* p) {
    std::int32_t four;
    __builtin_memcpy(&four, p, 4);
    return {_mm256_set1_epi32(four)};
  }
  /// Codes below 16: sums of two products fit into 16 bits.
  static __m256i dot_small(__m256i sum, __m256i codes, __m256i four) {
    return _mm256_add_epi32(
        sum, _mm256_madd_epi16(_mm256_maddubs_epi16(codes, four), _mm256_set1_epi16(1)));
  }
  /// Any code: even and odd bytes are widened to 16 bits first.
  static __m256i dot_wide(__m256i sum, __m256i codes, __m256i four) {
    const __m256i even = _mm256_madd_epi16(_mm256_and_si256(codes, _mm256_set1_epi16(255)),
                                           _mm256_srai_epi16(_mm256_slli_epi16(four, 8), 8));
    const __m256i odd = _mm256_madd_epi16(_mm256_srli_epi16(codes, 8), _mm256_srai_epi16(four, 8));
    return _mm256_add_epi32(sum, _mm256_add_epi32(even, odd));
  }
  template <bool kSmall>
  static I dot(const I& sum, const Codes& codes, const Four& four) {
    if constexpr (kSmall) {
      return {dot_small(sum.low, codes.low, four.bytes),
              dot_small(sum.high, codes.high, four.bytes)};
    } else {
      return {dot_wide(sum.low, codes.low, four.bytes), dot_wide(sum.high, codes.high, four.bytes)};
    }
  }
  static __m256 byte_floats(__m256i v, int j) {
    return _mm256_cvtepi32_ps(
        _mm256_and_si256(_mm256_srl_epi32(v, _mm_cvtsi32_si128(8 * j)), _mm256_set1_epi32(255)));
  }
  static V byte_floats(const Codes& v, int j) {
    return {byte_floats(v.low, j), byte_floats(v.high, j)};
  }
  static V load_halves(const std::uint16_t* p) {
    return {_mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p))),
            _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p + 8)))};
  }
  static V load_int8(const std::int8_t* p) {
    return to_floats(
        {_mm256_cvtepi8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p))),
         _mm256_cvtepi8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p + 8)))});
  }
  static V load_uint8(const std::uint8_t* p) {
    return to_floats(
        {_mm256_cvtepu8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p))),
         _mm256_cvtepu8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p + 8)))});
  }
  static V load_int16(const std::int16_t* p) {
    return to_floats(
        {_mm256_cvtepi16_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p))),
         _mm256_cvtepi16_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p + 8)))});
  }

  static float round_block(const std::uint16_t* x, int count, std::int8_t* codes,
                           std::int32_t sums[2]) {
    std::uint16_t whole[32] = {};
    if (count < 32) {
      for (int i = 0; i < count; ++i) whole[i] = x[i];
      x = whole;
    }
    const __m256i first = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(x));
    const __m256i second = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(x + 16));
    // The largest as a pattern of bits: an infinity or NaN is larger than any number, and stays.
    const __m256i mask = _mm256_set1_epi16(0x7fff);
    const __m256i most =
        _mm256_max_epu16(_mm256_and_si256(first, mask), _mm256_and_si256(second, mask));
    const __m128i eight =
        _mm_max_epu16(_mm256_castsi256_si128(most), _mm256_extracti128_si256(most, 1));
    const __m128i least = _mm_minpos_epu16(_mm_xor_si128(eight, _mm_set1_epi16(-1)));
    const std::uint32_t bits = static_cast<std::uint16_t>(~_mm_cvtsi128_si32(least));
    const float largest = __builtin_bit_cast(float, bits << 16);
    const float scale = largest * (1.0F / 127.0F);
    const __m256 inverse = _mm256_set1_ps(largest > 1e-30F ? 127.0F / largest : 0.0F);
    const auto eight_of = [&](__m128i part) {
      const __m256 v = _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(part), 16));
      return _mm256_cvtps_epi32(_mm256_mul_ps(v, inverse));
    };
    const auto sixteen_of = [&](__m256i part) {
      const __m256i pairs =
          _mm256_permute4x64_epi64(_mm256_packs_epi32(eight_of(_mm256_castsi256_si128(part)),
                                                      eight_of(_mm256_extracti128_si256(part, 1))),
                                   0xd8);
      return _mm_packs_epi16(_mm256_castsi256_si128(pairs), _mm256_extracti128_si256(pairs, 1));
    };
    const __m128i flip = _mm_set1_epi8(-128);
    const __m256i halves[2] = {first, second};
    for (int side = 0; side < 2; ++side) {
      const __m128i rounded = sixteen_of(halves[side]);
      _mm_storeu_si128(reinterpret_cast<__m128i*>(codes + 16 * side), rounded);
      const __m128i sum = _mm_sad_epu8(_mm_xor_si128(rounded, flip), _mm_setzero_si128());
      sums[side] = _mm_cvtsi128_si32(sum) + _mm_extract_epi16(sum, 4) - 16 * 128;
    }
    return scale;
  }
};

TIGERBOT_TARGET_END

}  // namespace

const QuantizedKernels kQuantizedAvx2 = make_quantized_kernels<Avx2>();

}  // namespace tigerbot::cpu
#endif
