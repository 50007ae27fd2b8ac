#include "ops/cpu/isa.h"

#if defined(__x86_64__)

#include <immintrin.h>

#include <cstddef>
#include <cstdint>

#include "ops/cpu/fused_kernels.h"

TIGERBOT_TARGET_BEGIN(TIGERBOT_AVX2_FEATURES)

namespace tigerbot::cpu {
namespace {

using Bf16 = std::uint16_t;

struct S {
  using V = __m256;
  static constexpr std::int64_t kWidth = 8;
  static constexpr bool kFastReciprocal = false;

  static V zero() { return _mm256_setzero_ps(); }
  static V set1(float a) { return _mm256_set1_ps(a); }
  static V load(const float* p) { return _mm256_loadu_ps(p); }
  static V load(const Bf16* p) {
    return widen(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
  }
  static void store(float* p, V a) { _mm256_storeu_ps(p, a); }
  static void store(Bf16* p, V a) { _mm_storeu_si128(reinterpret_cast<__m128i*>(p), narrow(a)); }
  template <typename T>
  static V load_n(const T* p, std::int64_t n) {
    T lanes[kWidth] = {};
    for (std::int64_t i = 0; i < n; ++i) lanes[i] = p[i];
    return load(lanes);
  }
  template <typename T>
  static void store_n(T* p, V a, std::int64_t n) {
    T lanes[kWidth];
    store(lanes, a);
    for (std::int64_t i = 0; i < n; ++i) p[i] = lanes[i];
  }
  static V keep_n(V a, std::int64_t n) {
    const __m256i kept = _mm256_cmpgt_epi32(_mm256_set1_epi32(static_cast<int>(n)),
                                            _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
    return _mm256_and_ps(a, _mm256_castsi256_ps(kept));
  }

  static void load_pairs(const float* p, V& even, V& odd) {
    const V low = load(p);
    const V high = load(p + 8);
    even = ordered(_mm256_shuffle_ps(low, high, 0x88));
    odd = ordered(_mm256_shuffle_ps(low, high, 0xdd));
  }
  static void load_pairs(const Bf16* p, V& even, V& odd) {
    const __m256i words = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
    even = _mm256_castsi256_ps(_mm256_slli_epi32(words, 16));
    odd = _mm256_castsi256_ps(_mm256_and_si256(words, upper_halves()));
  }
  static void store_pairs(float* p, V even, V odd) {
    const V low = _mm256_unpacklo_ps(even, odd);
    const V high = _mm256_unpackhi_ps(even, odd);
    store(p, _mm256_permute2f128_ps(low, high, 0x20));
    store(p + 8, _mm256_permute2f128_ps(low, high, 0x31));
  }
  static void store_pairs(Bf16* p, V even, V odd) {
    const __m256i high = _mm256_and_si256(rounded(odd), upper_halves());
    const __m256i low = _mm256_srli_epi32(rounded(even), 16);
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), _mm256_or_si256(high, low));
  }

  static float value(const float* p) { return *p; }
  static float value(const Bf16* p) {
    return __builtin_bit_cast(float, static_cast<std::uint32_t>(*p) << 16);
  }
  static V load_split(const std::uint16_t* high, const std::uint8_t* low) {
    const __m256i upper = _mm256_castps_si256(load(high));
    const __m256i lower =
        _mm256_cvtepu8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(low)));
    return _mm256_castsi256_ps(_mm256_or_si256(upper, _mm256_slli_epi32(lower, 8)));
  }
  static void store_split(std::uint16_t* high, std::uint8_t* low, V a) {
    const __m256i bits = _mm256_add_epi32(_mm256_castps_si256(a), _mm256_set1_epi32(0x80));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(high), pack(_mm256_srli_epi32(bits, 16)));
    const __m128i next =
        pack(_mm256_and_si256(_mm256_srli_epi32(bits, 8), _mm256_set1_epi32(0xff)));
    _mm_storel_epi64(reinterpret_cast<__m128i*>(low), _mm_packus_epi16(next, next));
  }

  static V load_master(const std::uint16_t* high, const std::int16_t* low) {
    const __m256i upper = _mm256_castps_si256(load(high));
    const __m256i lower =
        _mm256_cvtepi16_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(low)));
    return _mm256_castsi256_ps(_mm256_add_epi32(upper, lower));
  }
  static void store_master(std::uint16_t* high, std::int16_t* low, V a) {
    const __m256i bits = _mm256_castps_si256(a);
    const __m256i upper = _mm256_srli_epi32(_mm256_add_epi32(bits, _mm256_set1_epi32(0x8000)), 16);
    _mm_storeu_si128(reinterpret_cast<__m128i*>(high), pack(upper));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(low),
                     pack(_mm256_and_si256(bits, _mm256_set1_epi32(0xffff))));
  }

  static V add(V a, V b) { return _mm256_add_ps(a, b); }
  static V sub(V a, V b) { return _mm256_sub_ps(a, b); }
  static V mul(V a, V b) { return _mm256_mul_ps(a, b); }
  static V div(V a, V b) { return _mm256_div_ps(a, b); }
  static V fma(V a, V b, V c) { return _mm256_fmadd_ps(a, b, c); }
  static V sqrt(V a) { return _mm256_sqrt_ps(a); }
  static V abs(V a) { return _mm256_andnot_ps(set1(-0.0f), a); }
  static V max(V a, V b) { return _mm256_max_ps(a, b); }
  static V where_positive(V x, V a, V b) {
    return _mm256_blendv_ps(b, a, _mm256_cmp_ps(x, zero(), _CMP_GT_OQ));
  }
  static V reciprocal(V a) { return div(set1(1), a); }
  static float highest(V a) {
    __m128 half = _mm_max_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
    half = _mm_max_ps(half, _mm_movehl_ps(half, half));
    return _mm_cvtss_f32(_mm_max_ss(half, _mm_movehdup_ps(half)));
  }
  static float sum(V a) {
    __m128 half = _mm_add_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
    half = _mm_add_ps(half, _mm_movehl_ps(half, half));
    return _mm_cvtss_f32(_mm_add_ss(half, _mm_movehdup_ps(half)));
  }

  static void split(V t, V& whole, V& fraction) {
    t = _mm256_min_ps(set1(200), _mm256_max_ps(set1(-200), t));
    whole = _mm256_round_ps(t, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
    fraction = sub(t, whole);
  }
  /// a * 2^whole in two steps: 2^200 and 2^-200 are no floats, but infinity and zero are right.
  static V scale2(V a, V whole) {
    const __m256i n = _mm256_cvtps_epi32(whole);
    const __m256i half = _mm256_srai_epi32(n, 1);
    return mul(mul(a, power(half)), power(_mm256_sub_epi32(n, half)));
  }

  static V power(__m256i n) {
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_add_epi32(n, _mm256_set1_epi32(127)), 23));
  }
  static V ordered(V a) {
    return _mm256_castpd_ps(_mm256_permute4x64_pd(_mm256_castps_pd(a), 0xd8));
  }
  static __m256i upper_halves() { return _mm256_set1_epi32(static_cast<int>(0xffff0000u)); }
  static V widen(__m128i a) {
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(a), 16));
  }
  /// The upper half of each lane is the nearest bfloat16, ties to even; what is not a number stays
  /// so.
  static __m256i rounded(V a) {
    const __m256i bits = _mm256_castps_si256(a);
    const __m256i odd = _mm256_and_si256(_mm256_srli_epi32(bits, 16), _mm256_set1_epi32(1));
    const __m256i sum = _mm256_add_epi32(_mm256_add_epi32(bits, _mm256_set1_epi32(0x7fff)), odd);
    const __m256i quiet = _mm256_or_si256(bits, _mm256_set1_epi32(0x400000));
    const __m256i nan = _mm256_castps_si256(_mm256_cmp_ps(a, a, _CMP_UNORD_Q));
    return _mm256_blendv_epi8(sum, quiet, nan);
  }
  static __m128i narrow(V a) { return pack(_mm256_srli_epi32(rounded(a), 16)); }
  static __m128i pack(__m256i halves) {
    return _mm_packus_epi32(_mm256_castsi256_si128(halves), _mm256_extracti128_si256(halves, 1));
  }
};

#include "ops/cpu/fused_tables-inl.h"

}  // namespace
}  // namespace tigerbot::cpu

TIGERBOT_TARGET_END

namespace tigerbot::cpu {

const FusedKernelTables kFusedAvx2 = kTables;

}  // namespace tigerbot::cpu

#endif
