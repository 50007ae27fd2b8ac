#include <cstdint>

#include "ops/cpu/attention_kernels.h"
#include "ops/cpu/isa.h"

#if defined(__x86_64__)
#include <immintrin.h>

TIGERBOT_TARGET_BEGIN(TIGERBOT_AVX2_FEATURES)
namespace tigerbot::cpu {
namespace {

using Word = std::uint32_t;

struct Avx2 {
  using V = __m256;
  static constexpr int kWidth = 8;
  static constexpr int kRows = 6;
  static constexpr int kColumns = 2;
  static constexpr int kPair = 1;

  static V load(const float* p) { return _mm256_loadu_ps(p); }
  static void store(float* p, V x) { _mm256_storeu_ps(p, x); }
  static V zero() { return _mm256_setzero_ps(); }
  static V set1(float x) { return _mm256_set1_ps(x); }
  static V add(V a, V b) { return _mm256_add_ps(a, b); }
  static V sub(V a, V b) { return _mm256_sub_ps(a, b); }
  static V mul(V a, V b) { return _mm256_mul_ps(a, b); }
  static V fma(V a, V b, V c) { return _mm256_fmadd_ps(a, b, c); }
  static V max(V a, V b) { return _mm256_max_ps(a, b); }
  static V round(V x) { return _mm256_round_ps(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC); }
  /// In two steps, so that powers below the normal range come out as the small numbers they are.
  static V scale_by_power(V x, V power) {
    const __m256i whole = _mm256_cvtps_epi32(power);
    const __m256i half = _mm256_srai_epi32(whole, 1);
    const auto power_of = [](__m256i e) {
      return _mm256_castsi256_ps(
          _mm256_slli_epi32(_mm256_add_epi32(e, _mm256_set1_epi32(127)), 23));
    };
    return _mm256_mul_ps(_mm256_mul_ps(x, power_of(half)), power_of(_mm256_sub_epi32(whole, half)));
  }
  static bool any_greater(V a, V b) {
    return _mm256_movemask_ps(_mm256_cmp_ps(a, b, _CMP_GT_OQ)) != 0;
  }
  static float reduce_max(V x) {
    __m128 m = _mm_max_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));
    m = _mm_max_ps(m, _mm_movehl_ps(m, m));
    return _mm_cvtss_f32(_mm_max_ss(m, _mm_movehdup_ps(m)));
  }
  static float reduce_add(V x) {
    __m128 s = _mm_add_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));
    s = _mm_add_ps(s, _mm_movehl_ps(s, s));
    return _mm_cvtss_f32(_mm_add_ss(s, _mm_movehdup_ps(s)));
  }
  static V lane_numbers() { return _mm256_setr_ps(0, 1, 2, 3, 4, 5, 6, 7); }

  /// All ones in lanes below n.
  static __m256i first_lanes(int n) {
    return _mm256_cmpgt_epi32(_mm256_set1_epi32(n), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
  }
  static V keep_range(V x, int first, int last, float otherwise) {
    const __m256i keep = _mm256_andnot_si256(first_lanes(first), first_lanes(last));
    return _mm256_blendv_ps(_mm256_set1_ps(otherwise), x, _mm256_castsi256_ps(keep));
  }

  static V load_words(const Word* p) {
    return _mm256_castsi256_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)));
  }
  static V broadcast_word(const Word* p) {
    int word;
    __builtin_memcpy(&word, p, sizeof word);
    return _mm256_castsi256_ps(_mm256_set1_epi32(word));
  }
  static void store_words(Word* p, V x) {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), _mm256_castps_si256(x));
  }
  static void store_some_words(Word* p, V x, int n) {
    _mm256_maskstore_epi32(reinterpret_cast<int*>(p), first_lanes(n), _mm256_castps_si256(x));
  }
  static void store_operand(Word* row, int lane, V x) { store_words(row + lane, x); }
  static V load_source_words(const std::int8_t* p, int n) {
    __m128i x = _mm_setzero_si128();
    if (n > 0) __builtin_memcpy(&x, p, n >= 8 ? 8 : static_cast<std::size_t>(n));
    return _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(x));
  }
  /// The first n of whole numbers up to 127.
  static void store_integers(std::int8_t* p, V x, int n) {
    const __m256i wide = _mm256_cvtps_epi32(x);
    const __m128i words =
        _mm_packs_epi32(_mm256_castsi256_si128(wide), _mm256_extracti128_si256(wide, 1));
    const __m128i bytes = _mm_packs_epi16(words, words);
    __builtin_memcpy(p, &bytes, n >= 8 ? 8 : static_cast<std::size_t>(n));
  }
  static V dot(V sum, V a, V b) { return _mm256_fmadd_ps(a, b, sum); }

  static void transpose(V (&r)[8]) {
    V a[8];
    for (int i = 0; i < 8; i += 2) {
      a[i] = _mm256_unpacklo_ps(r[i], r[i + 1]);
      a[i + 1] = _mm256_unpackhi_ps(r[i], r[i + 1]);
    }
    V b[8];
    for (int i = 0; i < 8; i += 4) {
      b[i] = _mm256_shuffle_ps(a[i], a[i + 2], 0x44);
      b[i + 1] = _mm256_shuffle_ps(a[i], a[i + 2], 0xee);
      b[i + 2] = _mm256_shuffle_ps(a[i + 1], a[i + 3], 0x44);
      b[i + 3] = _mm256_shuffle_ps(a[i + 1], a[i + 3], 0xee);
    }
    for (int c = 0; c < 4; ++c) {
      r[c] = _mm256_permute2f128_ps(b[c], b[4 + c], 0x20);
      r[4 + c] = _mm256_permute2f128_ps(b[c], b[4 + c], 0x31);
    }
  }
};

struct Avx2F32 : Avx2 {
  using Source = float;
  using Avx2::load_source_words;
  static V load_source(const float* p, int n) {
    return n >= 8 ? _mm256_loadu_ps(p) : _mm256_maskload_ps(p, first_lanes(n));
  }
  static V load_source_words(const float* p, int n) { return load_source(p, n); }
  static void store_source(float* p, V x, int n) {
    if (n >= 8) {
      _mm256_storeu_ps(p, x);
    } else {
      _mm256_maskstore_ps(p, first_lanes(n), x);
    }
  }
};

struct Avx2Bf16Storage : Avx2 {
  using Source = std::uint16_t;
  using Avx2::load_source_words;
  static V load_source(const std::uint16_t* p, int n) {
    __m128i x = _mm_setzero_si128();
    if (n > 0) __builtin_memcpy(&x, p, n >= 8 ? 16 : 2 * static_cast<std::size_t>(n));
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(x), 16));
  }
  static V load_source_words(const std::uint16_t* p, int n) { return load_source(p, n); }
  static void store_source(std::uint16_t* p, V x, int n) {
    const __m256i bits = _mm256_castps_si256(x);
    const __m256i odd = _mm256_and_si256(_mm256_srli_epi32(bits, 16), _mm256_set1_epi32(1));
    __m256i rounded = _mm256_srli_epi32(
        _mm256_add_epi32(bits, _mm256_add_epi32(odd, _mm256_set1_epi32(0x7fff))), 16);
    const __m256i nan = _mm256_castps_si256(_mm256_cmp_ps(x, x, _CMP_UNORD_Q));
    rounded = _mm256_blendv_epi8(rounded, _mm256_set1_epi32(0x7fc0), nan);
    const __m128i narrow =
        _mm_packus_epi32(_mm256_castsi256_si128(rounded), _mm256_extracti128_si256(rounded, 1));
    __builtin_memcpy(p, &narrow, n >= 8 ? 16 : 2 * static_cast<std::size_t>(n));
  }
};

#include "ops/cpu/attention_product-inl.h"
// After the products.
#include "ops/cpu/attention_forward-inl.h"
// After the forward pass.
#include "ops/cpu/attention_backward-inl.h"

}  // namespace

const AttentionKernels kAttentionAvx2Bf16 = make_attention_kernels<Avx2Bf16Storage>();
const AttentionKernels kAttentionAvx2F32 = make_attention_kernels<Avx2F32>();

}  // namespace tigerbot::cpu
TIGERBOT_TARGET_END
#endif
