#include <cmath>
#include <cstdint>

#include "ops/cpu/isa.h"
#include "ops/cpu/linear_kernels.h"

#if defined(__x86_64__)
#include <immintrin.h>

namespace tigerbot::cpu {
namespace {

TIGERBOT_TARGET_BEGIN(TIGERBOT_AVX512BF16_FEATURES)

#include "ops/cpu/linear_avx512-inl.h"
#include "ops/cpu/linear_kernels-inl.h"

/// Pairs of bfloat16 multiplied and summed by one instruction.
struct DotBf16 : Bf16Lanes {
  using Word = __m512i;
  static constexpr int kRowsOf1 = 8, kRowsOf2 = 12, kRowsOf3 = 8;
  static Word load_word(const char* p) { return _mm512_loadu_si512(p); }
  static Word broadcast_word(const char* p) {
    std::int32_t pair;
    __builtin_memcpy(&pair, p, 4);
    return _mm512_set1_epi32(pair);
  }
  static __m256i narrow(V v) { return (__m256i)_mm512_cvtneps_pbh(v); }
  static V round_storage(V v) {
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(narrow(v)), 16));
  }
  static void store_lanes(void* p, std::int64_t offset, int count, V v) {
    auto* to = static_cast<std::uint16_t*>(p) + offset;
    if (count == 16) {
      _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), narrow(v));
    } else {
      _mm256_mask_storeu_epi16(to, mask(count), narrow(v));
    }
  }
  static V dot(V sum, Word a, Word b) { return _mm512_dpbf16_ps(sum, (__m512bh)a, (__m512bh)b); }
};

TIGERBOT_TARGET_END

}  // namespace

const LinearKernels kLinearAvx512DotBf16 = make_linear_kernels<DotBf16>();

}  // namespace tigerbot::cpu
#endif
