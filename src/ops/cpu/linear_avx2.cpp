#include <cmath>
#include <cstdint>

#include "ops/cpu/isa.h"
#include "ops/cpu/linear_kernels.h"

#if defined(__x86_64__)
#include <immintrin.h>

namespace tigerbot::cpu {
namespace {

TIGERBOT_TARGET_BEGIN(TIGERBOT_AVX2_FEATURES)

#include "ops/cpu/linear_kernels-inl.h"

/// Sixteen float lanes in two registers.
struct FloatLanes {
  struct V {
    __m256 low, high;
  };
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
  static V div(const V& a, const V& b) {
    return {_mm256_div_ps(a.low, b.low), _mm256_div_ps(a.high, b.high)};
  }
  static V fma(const V& a, const V& b, const V& c) {
    return {_mm256_fmadd_ps(a.low, b.low, c.low), _mm256_fmadd_ps(a.high, b.high, c.high)};
  }
  static V clamp(const V& v, float low, float high) {
    const __m256 l = _mm256_set1_ps(low);
    const __m256 h = _mm256_set1_ps(high);
    return {_mm256_min_ps(_mm256_max_ps(v.low, l), h), _mm256_min_ps(_mm256_max_ps(v.high, l), h)};
  }
  static V round(const V& v) {
    return {_mm256_round_ps(v.low, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC),
            _mm256_round_ps(v.high, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC)};
  }
  static __m256 power(__m256 n) {
    return _mm256_castsi256_ps(
        _mm256_slli_epi32(_mm256_add_epi32(_mm256_cvtps_epi32(n), _mm256_set1_epi32(127)), 23));
  }
  static V scale_by_power(const V& v, const V& n) {
    return {_mm256_mul_ps(v.low, power(n.low)), _mm256_mul_ps(v.high, power(n.high))};
  }
  static float sum(const V& v) {
    const __m256 half = _mm256_add_ps(v.low, v.high);
    __m128 quarter = _mm_add_ps(_mm256_castps256_ps128(half), _mm256_extractf128_ps(half, 1));
    quarter = _mm_add_ps(quarter, _mm_movehl_ps(quarter, quarter));
    return _mm_cvtss_f32(_mm_add_ss(quarter, _mm_movehdup_ps(quarter)));
  }
  static V load_floats(const float* p, int count) {
    if (count == 16) return {_mm256_loadu_ps(p), _mm256_loadu_ps(p + 8)};
    float lanes[16] = {};
    for (int i = 0; i < count; ++i) lanes[i] = p[i];
    return {_mm256_loadu_ps(lanes), _mm256_loadu_ps(lanes + 8)};
  }
  static void store_sums(float* p, const V& v) {
    _mm256_storeu_ps(p, v.low);
    _mm256_storeu_ps(p + 8, v.high);
  }
};

struct F32 : FloatLanes {
  static constexpr std::int64_t kElementBytes = 4;
  using Word = V;
  static constexpr int kRowsOf1 = 5, kRowsOf2 = 3, kRowsOf3 = 2;
  static V round_storage(const V& v) { return v; }
  static V load_lanes(const void* p, std::int64_t offset, int count) {
    return load_floats(static_cast<const float*>(p) + offset, count);
  }
  static void store_lanes(void* p, std::int64_t offset, int count, const V& v) {
    auto* to = static_cast<float*>(p) + offset;
    if (count == 16) return store_sums(to, v);
    float lanes[16];
    store_sums(lanes, v);
    for (int i = 0; i < count; ++i) to[i] = lanes[i];
  }
  static Word load_word(const char* p) {
    return {_mm256_loadu_ps(reinterpret_cast<const float*>(p)),
            _mm256_loadu_ps(reinterpret_cast<const float*>(p + 32))};
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
  static constexpr int kRowsOf1 = 4, kRowsOf2 = 2, kRowsOf3 = 1;
  /// The nearest bfloat16, ties to even, in the upper half of each lane.
  static __m256i rounded(__m256 v) {
    const __m256i bits = _mm256_castps_si256(v);
    const __m256i odd = _mm256_and_si256(_mm256_srli_epi32(bits, 16), _mm256_set1_epi32(1));
    const __m256i sum = _mm256_add_epi32(_mm256_add_epi32(bits, _mm256_set1_epi32(0x7fff)), odd);
    const __m256i nan = _mm256_castps_si256(_mm256_cmp_ps(v, v, _CMP_UNORD_Q));
    return _mm256_blendv_epi8(sum, _mm256_set1_epi32(0x7fc00000), nan);
  }
  static V round_storage(const V& v) {
    const __m256i upper = _mm256_set1_epi32(-65536);
    return {_mm256_castsi256_ps(_mm256_and_si256(rounded(v.low), upper)),
            _mm256_castsi256_ps(_mm256_and_si256(rounded(v.high), upper))};
  }
  static __m256 widen(__m128i narrow) {
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(narrow), 16));
  }
  static V load_lanes(const void* p, std::int64_t offset, int count) {
    const auto* from = static_cast<const std::uint16_t*>(p) + offset;
    std::uint16_t lanes[16] = {};
    if (count < 16) {
      for (int i = 0; i < count; ++i) lanes[i] = from[i];
      from = lanes;
    }
    return {widen(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from))),
            widen(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from + 8)))};
  }
  static void store_lanes(void* p, std::int64_t offset, int count, const V& v) {
    auto* to = static_cast<std::uint16_t*>(p) + offset;
    const __m256i packed =
        _mm256_permute4x64_epi64(_mm256_packus_epi32(_mm256_srli_epi32(rounded(v.low), 16),
                                                     _mm256_srli_epi32(rounded(v.high), 16)),
                                 0xd8);
    if (count == 16) {
      _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), packed);
      return;
    }
    std::uint16_t lanes[16];
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(lanes), packed);
    for (int i = 0; i < count; ++i) to[i] = lanes[i];
  }
  static __m256 first(__m256i pairs) { return _mm256_castsi256_ps(_mm256_slli_epi32(pairs, 16)); }
  static __m256 second(__m256i pairs) {
    return _mm256_castsi256_ps(_mm256_and_si256(pairs, _mm256_set1_epi32(-65536)));
  }
  static Word load_word(const char* p) {
    const __m256i low = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
    const __m256i high = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p + 32));
    return {{first(low), first(high)}, {second(low), second(high)}};
  }
  static Word broadcast_word(const char* p) {
    std::int32_t pair;
    __builtin_memcpy(&pair, p, 4);
    const __m256i pairs = _mm256_set1_epi32(pair);
    return {{first(pairs), first(pairs)}, {second(pairs), second(pairs)}};
  }
  static V dot(const V& sum, const Word& a, const Word& b) {
    return fma(a.second, b.second, fma(a.first, b.first, sum));
  }
};

TIGERBOT_TARGET_END

}  // namespace

const LinearKernels kLinearAvx2Bf16 = make_linear_kernels<Bf16>();
const LinearKernels kLinearAvx2F32 = make_linear_kernels<F32>();

}  // namespace tigerbot::cpu
#endif
