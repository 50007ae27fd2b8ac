// Included within a target region of each AVX-512 source; no headers in here.

struct Avx512 {
  using V = __m512;
  static constexpr int kWidth = 16;
  static constexpr int kRows = 6;
  static constexpr int kColumns = 4;

  static V load(const float* p) { return _mm512_loadu_ps(p); }
  static void store(float* p, V x) { _mm512_storeu_ps(p, x); }
  static V zero() { return _mm512_setzero_ps(); }
  static V set1(float x) { return _mm512_set1_ps(x); }
  static V add(V a, V b) { return _mm512_add_ps(a, b); }
  static V sub(V a, V b) { return _mm512_sub_ps(a, b); }
  static V mul(V a, V b) { return _mm512_mul_ps(a, b); }
  static V fma(V a, V b, V c) { return _mm512_fmadd_ps(a, b, c); }
  static V max(V a, V b) { return _mm512_max_ps(a, b); }
  static V round(V x) {
    return _mm512_roundscale_ps(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
  }
  static V scale_by_power(V x, V power) { return _mm512_scalef_ps(x, power); }
  static bool any_greater(V a, V b) { return _mm512_cmp_ps_mask(a, b, _CMP_GT_OQ) != 0; }
  static float reduce_max(V x) { return _mm512_reduce_max_ps(x); }
  static float reduce_add(V x) { return _mm512_reduce_add_ps(x); }
  static V lane_numbers() {
    return _mm512_setr_ps(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
  }

  static __mmask16 first_lanes(int n) {
    return static_cast<__mmask16>(n >= 16 ? 0xffffu : n <= 0 ? 0u : (1u << n) - 1);
  }
  /// x in lanes [first, last), `otherwise` in the others.
  static V keep_range(V x, int first, int last, float otherwise) {
    const auto keep = static_cast<__mmask16>(first_lanes(last) & ~first_lanes(first));
    return _mm512_mask_blend_ps(keep, _mm512_set1_ps(otherwise), x);
  }

  static V load_words(const Word* p) { return _mm512_castsi512_ps(_mm512_loadu_si512(p)); }
  static V broadcast_word(const Word* p) {
    int word;
    __builtin_memcpy(&word, p, sizeof word);
    return _mm512_castsi512_ps(_mm512_set1_epi32(word));
  }
  static void store_words(Word* p, V x) { _mm512_storeu_si512(p, _mm512_castps_si512(x)); }
  static void store_some_words(Word* p, V x, int n) {
    _mm512_mask_storeu_epi32(p, first_lanes(n), _mm512_castps_si512(x));
  }

  /// 16 integers, zeros past the first n.
  static V load_integers(const std::int8_t* p, int n) {
    const __m128i x = n >= 16 ? _mm_loadu_si128(reinterpret_cast<const __m128i*>(p))
                              : _mm_maskz_loadu_epi8(first_lanes(n), p);
    return _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(x));
  }
  /// The first n of whole numbers up to 127.
  static void store_integers(std::int8_t* p, V x, int n) {
    _mm_mask_storeu_epi8(p, first_lanes(n), _mm512_cvtepi32_epi8(_mm512_cvtps_epi32(x)));
  }

  /// rows[i] lane j becomes rows[j] lane i.
  static inline __attribute__((always_inline)) void transpose(V (&rows)[16]) {
    V a[16];
#pragma GCC unroll 8
    for (int i = 0; i < 16; i += 2) {
      a[i] = _mm512_unpacklo_ps(rows[i], rows[i + 1]);
      a[i + 1] = _mm512_unpackhi_ps(rows[i], rows[i + 1]);
    }
    V b[16];
#pragma GCC unroll 4
    for (int i = 0; i < 16; i += 4) {
      b[i] = _mm512_shuffle_ps(a[i], a[i + 2], 0x44);
      b[i + 1] = _mm512_shuffle_ps(a[i], a[i + 2], 0xee);
      b[i + 2] = _mm512_shuffle_ps(a[i + 1], a[i + 3], 0x44);
      b[i + 3] = _mm512_shuffle_ps(a[i + 1], a[i + 3], 0xee);
    }
    // b[4 g + c] holds, in its 128-bit part p, column 4 p + c of rows 4 g to 4 g + 3.
#pragma GCC unroll 4
    for (int c = 0; c < 4; ++c) {
      const V low01 = _mm512_shuffle_f32x4(b[c], b[4 + c], 0x44);
      const V high01 = _mm512_shuffle_f32x4(b[c], b[4 + c], 0xee);
      const V low23 = _mm512_shuffle_f32x4(b[8 + c], b[12 + c], 0x44);
      const V high23 = _mm512_shuffle_f32x4(b[8 + c], b[12 + c], 0xee);
      rows[c] = _mm512_shuffle_f32x4(low01, low23, 0x88);
      rows[4 + c] = _mm512_shuffle_f32x4(low01, low23, 0xdd);
      rows[8 + c] = _mm512_shuffle_f32x4(high01, high23, 0x88);
      rows[12 + c] = _mm512_shuffle_f32x4(high01, high23, 0xdd);
    }
  }
};

/// Operands are floats, whatever the storage.
struct Avx512Float : Avx512 {
  static constexpr int kPair = 1;
  static V load_source_words(const std::int8_t* p, int n) { return load_integers(p, n); }
  static V dot(V sum, V a, V b) { return _mm512_fmadd_ps(a, b, sum); }
  static void store_operand(Word* row, int lane, V x) {
    _mm512_storeu_si512(row + lane, _mm512_castps_si512(x));
  }
};

struct Avx512F32 : Avx512Float {
  using Source = float;
  using Avx512Float::load_source_words;
  static V load_source(const float* p, int n) {
    return n >= 16 ? _mm512_loadu_ps(p) : _mm512_maskz_loadu_ps(first_lanes(n), p);
  }
  static V load_source_words(const float* p, int n) { return load_source(p, n); }
  static void store_source(float* p, V x, int n) {
    if (n >= 16) {
      _mm512_storeu_ps(p, x);
    } else {
      _mm512_mask_storeu_ps(p, first_lanes(n), x);
    }
  }
};

inline __m256i load_bf16(const std::uint16_t* p, int n) {
  return n >= 16 ? _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p))
                 : _mm256_maskz_loadu_epi16(Avx512::first_lanes(n), p);
}

inline __m512 widen_bf16(__m256i x) {
  return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(x), 16));
}

/// bfloat16 storage without bfloat16 instructions.
struct Avx512Bf16Storage : Avx512Float {
  using Source = std::uint16_t;
  using Avx512Float::load_source_words;
  static V load_source(const std::uint16_t* p, int n) { return widen_bf16(load_bf16(p, n)); }
  static V load_source_words(const std::uint16_t* p, int n) { return load_source(p, n); }
  static void store_source(std::uint16_t* p, V x, int n) {
    const __m512i bits = _mm512_castps_si512(x);
    const __m512i odd = _mm512_and_si512(_mm512_srli_epi32(bits, 16), _mm512_set1_epi32(1));
    __m512i rounded = _mm512_srli_epi32(
        _mm512_add_epi32(bits, _mm512_add_epi32(odd, _mm512_set1_epi32(0x7fff))), 16);
    rounded = _mm512_mask_mov_epi32(rounded, _mm512_cmp_ps_mask(x, x, _CMP_UNORD_Q),
                                    _mm512_set1_epi32(0x7fc0));
    _mm256_mask_storeu_epi16(p, first_lanes(n), _mm512_cvtepi32_epi16(rounded));
  }
};
