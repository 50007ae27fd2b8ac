#include <cstdint>

#include "ops/cpu/isa.h"
#include "ops/cpu/quantized_kernels.h"

#if defined(__x86_64__)
#include <immintrin.h>

namespace tigerbot::cpu {
namespace {

TIGERBOT_TARGET_BEGIN(TIGERBOT_AVX512VNNI_FEATURES)

#include "ops/cpu/linear_avx512-inl.h"
#include "ops/cpu/quantized_kernels-inl.h"

struct Vnni : FloatLanes {
  using I = __m512i;
  using Codes = __m512i;
  using Four = __m512i;
  static constexpr int kStreamRows = 8;
  static constexpr int kTileRows = 6;
  static constexpr int kTilePanels = 2;
  static constexpr bool kNarrowDot = false;

  static void store_floats(float* p, V v) { _mm512_storeu_ps(p, v); }
  static I zero_int() { return _mm512_setzero_si512(); }
  static I set_int(std::int32_t value) { return _mm512_set1_epi32(value); }
  static V to_floats(I v) { return _mm512_cvtepi32_ps(v); }
  static Codes load_codes(const std::uint8_t* p) { return _mm512_loadu_si512(p); }
  static void store_codes(std::uint8_t* p, Codes v) { _mm512_storeu_si512(p, v); }
  static Codes lower(Codes v) { return _mm512_and_si512(v, _mm512_set1_epi8(15)); }
  static Codes upper(Codes v) {
    return _mm512_and_si512(_mm512_srli_epi16(v, 4), _mm512_set1_epi8(15));
  }
  static Four spread(const std::int8_t* p) {
    std::int32_t four;
    __builtin_memcpy(&four, p, 4);
    return _mm512_set1_epi32(four);
  }
  template <bool kSmall>
  static I dot(I sum, Codes codes, Four four) {
    return _mm512_dpbusd_epi32(sum, codes, four);
  }
  static V byte_floats(Codes v, int j) {
    return _mm512_cvtepi32_ps(
        _mm512_and_si512(_mm512_srl_epi32(v, _mm_cvtsi32_si128(8 * j)), _mm512_set1_epi32(255)));
  }
  static V load_halves(const std::uint16_t* p) {
    return _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)));
  }
  static V load_int8(const std::int8_t* p) {
    return _mm512_cvtepi32_ps(
        _mm512_cvtepi8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p))));
  }
  static V load_uint8(const std::uint8_t* p) {
    return _mm512_cvtepi32_ps(
        _mm512_cvtepu8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p))));
  }
  static V load_int16(const std::int16_t* p) {
    return _mm512_cvtepi32_ps(
        _mm512_cvtepi16_epi32(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p))));
  }

  static float round_block(const std::uint16_t* x, int count, std::int8_t* codes,
                           std::int32_t sums[2]) {
    const __m512i halves =
        count == 32 ? _mm512_loadu_si512(x)
                    : _mm512_maskz_loadu_epi16(static_cast<__mmask32>((1ULL << count) - 1), x);
    // The largest as a pattern of bits: an infinity or NaN is larger than any number, and stays.
    const __m512i size = _mm512_and_si512(halves, _mm512_set1_epi16(0x7fff));
    __m256i most =
        _mm256_max_epu16(_mm512_castsi512_si256(size), _mm512_extracti64x4_epi64(size, 1));
    const __m128i eight =
        _mm_max_epu16(_mm256_castsi256_si128(most), _mm256_extracti128_si256(most, 1));
    // The smallest of the complements is found by one instruction.
    const __m128i least = _mm_minpos_epu16(_mm_xor_si128(eight, _mm_set1_epi16(-1)));
    const std::uint32_t bits = static_cast<std::uint16_t>(~_mm_cvtsi128_si32(least));
    const float largest = __builtin_bit_cast(float, bits << 16);
    const float scale = largest * (1.0F / 127.0F);
    const V inverse = _mm512_set1_ps(largest > 1e-30F ? 127.0F / largest : 0.0F);
    const auto round = [&](__m256i part) {
      const V v = _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(part), 16));
      return _mm512_cvtsepi32_epi8(_mm512_cvtps_epi32(_mm512_mul_ps(v, inverse)));
    };
    const __m128i low = round(_mm512_castsi512_si256(halves));
    const __m128i high = round(_mm512_extracti64x4_epi64(halves, 1));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(codes), low);
    _mm_storeu_si128(reinterpret_cast<__m128i*>(codes + 16), high);
    // Differences of unsigned bytes from zero sum up in halves of a register.
    const __m128i flip = _mm_set1_epi8(-128);
    const __m128i none = _mm_setzero_si128();
    const __m128i low_sum = _mm_sad_epu8(_mm_xor_si128(low, flip), none);
    const __m128i high_sum = _mm_sad_epu8(_mm_xor_si128(high, flip), none);
    sums[0] = _mm_cvtsi128_si32(low_sum) + _mm_extract_epi16(low_sum, 4) - 16 * 128;
    sums[1] = _mm_cvtsi128_si32(high_sum) + _mm_extract_epi16(high_sum, 4) - 16 * 128;
    return scale;
  }
};

TIGERBOT_TARGET_END

}  // namespace

const QuantizedKernels kQuantizedAvx512Vnni = make_quantized_kernels<Vnni>();

}  // namespace tigerbot::cpu
#endif
