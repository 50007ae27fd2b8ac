#include <cstdint>

#include "ops/cpu/attention_kernels.h"
#include "ops/cpu/isa.h"

#if defined(__x86_64__)
#include <immintrin.h>

TIGERBOT_TARGET_BEGIN(TIGERBOT_AVX512BF16_FEATURES)
namespace tigerbot::cpu {
namespace {

using Word = std::uint32_t;

#include "ops/cpu/attention_avx512-inl.h"

/// Products of bfloat16 pairs (vdpbf16ps): twice the work of a float product an instruction.
struct Avx512DotBf16 : Avx512 {
  using Source = std::uint16_t;
  static constexpr int kPair = 2;

  static V dot(V sum, V a, V b) {
    return _mm512_dpbf16_ps(sum, reinterpret_cast<__m512bh>(a), reinterpret_cast<__m512bh>(b));
  }
  static __m256i narrow(V x) { return reinterpret_cast<__m256i>(_mm512_cvtneps_pbh(x)); }
  static void store_operand(Word* row, int lane, V x) {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(row + lane / 2), narrow(x));
  }
  /// Words (even[j], odd[j]).
  static void store_paired(Word* out, V even, V odd) {
    const __m512i low = _mm512_cvtepu16_epi32(narrow(even));
    const __m512i high = _mm512_slli_epi32(_mm512_cvtepu16_epi32(narrow(odd)), 16);
    _mm512_storeu_si512(out, _mm512_or_si512(low, high));
  }

  static V load_source(const std::uint16_t* p, int n) { return widen_bf16(load_bf16(p, n)); }
  static void store_source(std::uint16_t* p, V x, int n) {
    if (n >= 16) {
      _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), narrow(x));
    } else {
      _mm256_mask_storeu_epi16(p, first_lanes(n), narrow(x));
    }
  }
  static V load_source_words(const std::uint16_t* p, int n) {
    if (n >= 32) return _mm512_castsi512_ps(_mm512_loadu_si512(p));
    const auto mask = static_cast<__mmask32>(n <= 0 ? 0u : (1u << n) - 1);
    return _mm512_castsi512_ps(_mm512_maskz_loadu_epi16(mask, p));
  }
  static V pair_source_words(const std::uint16_t* even, const std::uint16_t* odd, int n) {
    const __m512i low = _mm512_cvtepu16_epi32(load_bf16(even, n));
    if (odd == nullptr) return _mm512_castsi512_ps(low);
    const __m512i high = _mm512_slli_epi32(_mm512_cvtepu16_epi32(load_bf16(odd, n)), 16);
    return _mm512_castsi512_ps(_mm512_or_si512(low, high));
  }
  static V load_source_words(const std::int8_t* p, int n) {
    return reinterpret_cast<V>(
        _mm512_cvtne2ps_pbh(load_integers(p + 16, n - 16), load_integers(p, n)));
  }
  /// Integers up to 127 are floats whose lower halves are zero.
  static V pair_source_words(const std::int8_t* even, const std::int8_t* odd, int n) {
    const __m512i low = _mm512_srli_epi32(_mm512_castps_si512(load_integers(even, n)), 16);
    if (odd == nullptr) return _mm512_castsi512_ps(low);
    return _mm512_castsi512_ps(_mm512_or_si512(low, _mm512_castps_si512(load_integers(odd, n))));
  }
};

#include "ops/cpu/attention_product-inl.h"
// After the products.
#include "ops/cpu/attention_forward-inl.h"
// After the forward pass.
#include "ops/cpu/attention_backward-inl.h"

}  // namespace

const AttentionKernels kAttentionAvx512DotBf16 = make_attention_kernels<Avx512DotBf16>();

}  // namespace tigerbot::cpu
TIGERBOT_TARGET_END
#endif
