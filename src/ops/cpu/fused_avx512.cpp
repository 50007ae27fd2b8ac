#include "ops/cpu/isa.h"

#if defined(__x86_64__)

#include <immintrin.h>

#include <cstddef>
#include <cstdint>

#include "ops/cpu/fused_kernels.h"

TIGERBOT_TARGET_BEGIN(TIGERBOT_AVX512_FEATURES)

namespace tigerbot::cpu {
namespace {

using Bf16 = std::uint16_t;

#include "ops/cpu/vector_avx512-inl.h"

struct S : Avx512 {
  using Avx512::store;
  using Avx512::store_n;
  using Avx512::store_pairs;

  static void store(Bf16* p, V a) { _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), narrow(a)); }
  static void store_n(Bf16* p, V a, std::int64_t n) {
    _mm256_mask_storeu_epi16(p, first(n), narrow(a));
  }
  static void store_pairs(Bf16* p, V even, V odd) {
    const __m512i high =
        _mm512_and_si512(rounded(odd), _mm512_set1_epi32(static_cast<int>(0xffff0000u)));
    _mm512_storeu_si512(p, _mm512_or_si512(high, _mm512_srli_epi32(rounded(even), 16)));
  }

  /// The upper half of each lane is the nearest bfloat16, ties to even; what is not a number stays
  /// so.
  static __m512i rounded(V a) {
    const __m512i bits = _mm512_castps_si512(a);
    const __m512i odd = _mm512_and_si512(_mm512_srli_epi32(bits, 16), _mm512_set1_epi32(1));
    const __m512i sum = _mm512_add_epi32(_mm512_add_epi32(bits, _mm512_set1_epi32(0x7fff)), odd);
    const __mmask16 nan = _mm512_cmp_ps_mask(a, a, _CMP_UNORD_Q);
    return _mm512_mask_or_epi32(sum, nan, bits, _mm512_set1_epi32(0x400000));
  }
  static __m256i narrow(V a) { return _mm512_cvtepi32_epi16(_mm512_srli_epi32(rounded(a), 16)); }
};

#include "ops/cpu/fused_tables-inl.h"

}  // namespace
}  // namespace tigerbot::cpu

TIGERBOT_TARGET_END

namespace tigerbot::cpu {

const FusedKernelTables kFusedAvx512 = kTables;

}  // namespace tigerbot::cpu

#endif
