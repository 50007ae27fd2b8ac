#include "ops/cpu/isa.h"

#if defined(__x86_64__)

#include <immintrin.h>

#include <cstddef>
#include <cstdint>

#include "ops/cpu/fused_kernels.h"

TIGERBOT_TARGET_BEGIN(TIGERBOT_AVX512BF16_FEATURES)

namespace tigerbot::cpu {
namespace {

using Bf16 = std::uint16_t;

#include "ops/cpu/vector_avx512-inl.h"

/// One instruction rounds a vector to bfloat16; denormals become zero.
struct S : Avx512 {
  using Avx512::store;
  using Avx512::store_n;
  using Avx512::store_pairs;

  static void store(Bf16* p, V a) { _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), narrow(a)); }
  static void store_n(Bf16* p, V a, std::int64_t n) {
    _mm256_mask_storeu_epi16(p, first(n), narrow(a));
  }
  static void store_pairs(Bf16* p, V even, V odd) {
    const __m512i high = _mm512_slli_epi32(_mm512_cvtepu16_epi32(narrow(odd)), 16);
    _mm512_storeu_si512(p, _mm512_or_si512(high, _mm512_cvtepu16_epi32(narrow(even))));
  }
  static __m256i narrow(V a) { return reinterpret_cast<__m256i>(_mm512_cvtneps_pbh(a)); }
};

#include "ops/cpu/fused_tables-inl.h"

}  // namespace
}  // namespace tigerbot::cpu

TIGERBOT_TARGET_END

namespace tigerbot::cpu {

const FusedKernelTables kFusedAvx512Bf16 = kTables;

}  // namespace tigerbot::cpu

#endif
