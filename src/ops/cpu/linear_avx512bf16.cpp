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
  static constexpr int kRowsOf1 = 8, kRowsOf2 = 8, kRowsOf3 = 8;
  static Word load_word(const char* p) { return _mm512_loadu_si512(p); }
  static Word broadcast_word(const char* p) {
    std::int32_t pair;
    __builtin_memcpy(&pair, p, 4);
    return _mm512_set1_epi32(pair);
  }
  static V dot(V sum, Word a, Word b) { return _mm512_dpbf16_ps(sum, (__m512bh)a, (__m512bh)b); }
};

TIGERBOT_TARGET_END

}  // namespace

const LinearKernels kLinearAvx512DotBf16 = make_linear_kernels<DotBf16>();

}  // namespace tigerbot::cpu
#endif
