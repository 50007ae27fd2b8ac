#include <cmath>
#include <cstdint>

#include "ops/cpu/isa.h"
#include "ops/cpu/linear_kernels.h"

#if defined(__x86_64__)
#include <immintrin.h>

namespace tigerbot::cpu {
namespace {

TIGERBOT_TARGET_BEGIN(TIGERBOT_AVX512_FEATURES)

#include "ops/cpu/linear_avx512-inl.h"
#include "ops/cpu/linear_kernels-inl.h"

/// Two bfloat16 of each output as floats: the products of the first, then of the second.
struct Bf16Storage : Bf16Lanes {
  struct Word {
    __m512 first, second;
  };
  static constexpr int kRowsOf1 = 8, kRowsOf2 = 8, kRowsOf3 = 6;
  static Word split(__m512i pairs) {
    return {_mm512_castsi512_ps(_mm512_slli_epi32(pairs, 16)),
            _mm512_castsi512_ps(_mm512_and_si512(pairs, _mm512_set1_epi32(-65536)))};
  }
  static Word load_word(const char* p) { return split(_mm512_loadu_si512(p)); }
  static Word broadcast_word(const char* p) {
    std::int32_t pair;
    __builtin_memcpy(&pair, p, 4);
    return split(_mm512_set1_epi32(pair));
  }
  static V dot(V sum, const Word& a, const Word& b) {
    return _mm512_fmadd_ps(a.second, b.second, _mm512_fmadd_ps(a.first, b.first, sum));
  }
};

struct F32 : F32Lanes {
  using Word = __m512;
  static constexpr int kRowsOf1 = 8, kRowsOf2 = 12, kRowsOf3 = 8;
  static Word load_word(const char* p) { return _mm512_loadu_ps(p); }
  static Word broadcast_word(const char* p) {
    float value;
    __builtin_memcpy(&value, p, 4);
    return _mm512_set1_ps(value);
  }
  static V dot(V sum, Word a, Word b) { return _mm512_fmadd_ps(a, b, sum); }
};

TIGERBOT_TARGET_END

}  // namespace

const LinearKernels kLinearAvx512Bf16Storage = make_linear_kernels<Bf16Storage>();
const LinearKernels kLinearAvx512F32 = make_linear_kernels<F32>();

}  // namespace tigerbot::cpu
#endif
