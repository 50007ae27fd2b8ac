// Included within a target region of the AVX-512 sources; no headers in here. What is the same with
// and without the BF16 extension.

struct Avx512 {
  using V = __m512;
  static constexpr std::int64_t kWidth = 16;
  static constexpr bool kFastReciprocal = true;

  static V zero() { return _mm512_setzero_ps(); }
  static V set1(float a) { return _mm512_set1_ps(a); }
  static V load(const float* p) { return _mm512_loadu_ps(p); }
  static V load(const Bf16* p) {
    return widen(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)));
  }
  static void store(float* p, V a) { _mm512_storeu_ps(p, a); }
  static V load_n(const float* p, std::int64_t n) { return _mm512_maskz_loadu_ps(first(n), p); }
  static V load_n(const Bf16* p, std::int64_t n) {
    return widen(_mm256_maskz_loadu_epi16(first(n), p));
  }
  static void store_n(float* p, V a, std::int64_t n) { _mm512_mask_storeu_ps(p, first(n), a); }
  static V keep_n(V a, std::int64_t n) { return _mm512_maskz_mov_ps(first(n), a); }

  static void load_pairs(const float* p, V& even, V& odd) {
    const V low = load(p);
    const V high = load(p + 16);
    even = _mm512_permutex2var_ps(low, _mm512_add_epi32(lane_numbers(), lane_numbers()), high);
    odd = _mm512_permutex2var_ps(
        low,
        _mm512_add_epi32(_mm512_add_epi32(lane_numbers(), lane_numbers()), _mm512_set1_epi32(1)),
        high);
  }
  static void load_pairs(const Bf16* p, V& even, V& odd) {
    const __m512i words = _mm512_loadu_si512(p);
    even = _mm512_castsi512_ps(_mm512_slli_epi32(words, 16));
    odd = _mm512_castsi512_ps(
        _mm512_and_si512(words, _mm512_set1_epi32(static_cast<int>(0xffff0000u))));
  }
  static void store_pairs(float* p, V even, V odd) {
    // Lane i of the result comes from lane i / 2 (+ 8) of even or odd (numbers from 16 on).
    const __m512i half = _mm512_srli_epi32(lane_numbers(), 1);
    const __m512i low = _mm512_or_si512(
        half, _mm512_slli_epi32(_mm512_and_si512(lane_numbers(), _mm512_set1_epi32(1)), 4));
    const __m512i high = _mm512_add_epi32(low, _mm512_set1_epi32(8));
    store(p, _mm512_permutex2var_ps(even, low, odd));
    store(p + 16, _mm512_permutex2var_ps(even, high, odd));
  }

  static float value(const float* p) { return *p; }
  static float value(const Bf16* p) {
    return __builtin_bit_cast(float, static_cast<std::uint32_t>(*p) << 16);
  }
  static V load_split(const std::uint16_t* high, const std::uint8_t* low) {
    const __m512i lower =
        _mm512_cvtepu8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(low)));
    return _mm512_castsi512_ps(
        _mm512_or_si512(_mm512_castps_si512(load(high)), _mm512_slli_epi32(lower, 8)));
  }
  static void store_split(std::uint16_t* high, std::uint8_t* low, V a) {
    const __m512i bits = _mm512_add_epi32(_mm512_castps_si512(a), _mm512_set1_epi32(0x80));
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(high),
                        _mm512_cvtepi32_epi16(_mm512_srli_epi32(bits, 16)));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(low),
                     _mm512_cvtepi32_epi8(_mm512_srli_epi32(bits, 8)));
  }

  static V load_master(const std::uint16_t* high, const std::int16_t* low) {
    const __m512i lower =
        _mm512_cvtepi16_epi32(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(low)));
    return _mm512_castsi512_ps(_mm512_add_epi32(_mm512_castps_si512(load(high)), lower));
  }
  static void store_master(std::uint16_t* high, std::int16_t* low, V a) {
    const __m512i bits = _mm512_castps_si512(a);
    const __m512i upper = _mm512_srli_epi32(_mm512_add_epi32(bits, _mm512_set1_epi32(0x8000)), 16);
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(high), _mm512_cvtepi32_epi16(upper));
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(low), _mm512_cvtepi32_epi16(bits));
  }

  static V add(V a, V b) { return _mm512_add_ps(a, b); }
  static V sub(V a, V b) { return _mm512_sub_ps(a, b); }
  static V mul(V a, V b) { return _mm512_mul_ps(a, b); }
  static V div(V a, V b) { return _mm512_div_ps(a, b); }
  static V fma(V a, V b, V c) { return _mm512_fmadd_ps(a, b, c); }
  static V sqrt(V a) { return _mm512_sqrt_ps(a); }
  static V abs(V a) { return _mm512_abs_ps(a); }
  static V max(V a, V b) { return _mm512_max_ps(a, b); }
  static V where_positive(V x, V a, V b) {
    return _mm512_mask_mov_ps(b, _mm512_cmp_ps_mask(x, zero(), _CMP_GT_OQ), a);
  }
  static V reciprocal(V a) { return _mm512_rcp14_ps(a); }
  static float highest(V a) { return _mm512_reduce_max_ps(a); }
  static float sum(V a) { return _mm512_reduce_add_ps(a); }

  static void split(V t, V& whole, V& fraction) {
    whole = _mm512_roundscale_ps(t, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
    fraction = _mm512_reduce_ps(t, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
  }
  static V scale2(V a, V whole) { return _mm512_scalef_ps(a, whole); }

  static __mmask16 first(std::int64_t n) { return static_cast<__mmask16>((1u << n) - 1); }
  static __m512i lane_numbers() {
    return _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
  }
  static V widen(__m256i a) {
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(a), 16));
  }
};
