// Included within a target region of AVX-512; no headers in here.
//
// Sixteen float lanes in one register.

struct FloatLanes {
  using V = __m512;
  static __mmask16 mask(int count) { return static_cast<__mmask16>((1U << count) - 1); }
  static V zero() { return _mm512_setzero_ps(); }
  static V set(float value) { return _mm512_set1_ps(value); }
  static V add(V a, V b) { return _mm512_add_ps(a, b); }
  static V sub(V a, V b) { return _mm512_sub_ps(a, b); }
  static V mul(V a, V b) { return _mm512_mul_ps(a, b); }
  static V div(V a, V b) { return _mm512_div_ps(a, b); }
  static V fma(V a, V b, V c) { return _mm512_fmadd_ps(a, b, c); }
  static V clamp(V v, float low, float high) {
    return _mm512_min_ps(_mm512_max_ps(v, set(low)), set(high));
  }
  static V round(V v) { return _mm512_roundscale_ps(v, _MM_FROUND_TO_NEAREST_INT); }
  static V scale_by_power(V v, V n) { return _mm512_scalef_ps(v, n); }
  static float sum(V v) {
    const __m256 half = _mm256_add_ps(_mm512_castps512_ps256(v), _mm512_extractf32x8_ps(v, 1));
    __m128 quarter = _mm_add_ps(_mm256_castps256_ps128(half), _mm256_extractf128_ps(half, 1));
    quarter = _mm_add_ps(quarter, _mm_movehl_ps(quarter, quarter));
    return _mm_cvtss_f32(_mm_add_ss(quarter, _mm_movehdup_ps(quarter)));
  }
  static V load_floats(const float* p, int count) {
    return count == 16 ? _mm512_loadu_ps(p) : _mm512_maskz_loadu_ps(mask(count), p);
  }
};

struct F32Lanes : FloatLanes {
  static constexpr std::int64_t kElementBytes = 4;
  static V round_storage(V v) { return v; }
  static V load_lanes(const void* p, std::int64_t offset, int count) {
    return load_floats(static_cast<const float*>(p) + offset, count);
  }
  static void store_lanes(void* p, std::int64_t offset, int count, V v) {
    auto* to = static_cast<float*>(p) + offset;
    if (count == 16) {
      _mm512_storeu_ps(to, v);
    } else {
      _mm512_mask_storeu_ps(to, mask(count), v);
    }
  }
};

struct Bf16Lanes : FloatLanes {
  static constexpr std::int64_t kElementBytes = 2;
  /// The bits of the nearest bfloat16 in the upper half of each lane, ties to even.
  static __m512i rounded(V v) {
    const __m512i bits = _mm512_castps_si512(v);
    const __m512i odd = _mm512_and_si512(_mm512_srli_epi32(bits, 16), _mm512_set1_epi32(1));
    const __m512i sum = _mm512_add_epi32(_mm512_add_epi32(bits, _mm512_set1_epi32(0x7fff)), odd);
    const __mmask16 nan = _mm512_cmp_ps_mask(v, v, _CMP_UNORD_Q);
    return _mm512_mask_mov_epi32(sum, nan, _mm512_set1_epi32(0x7fc00000));
  }
  static V round_storage(V v) {
    return _mm512_castsi512_ps(_mm512_and_si512(rounded(v), _mm512_set1_epi32(-65536)));
  }
  static V load_lanes(const void* p, std::int64_t offset, int count) {
    const auto* from = static_cast<const std::uint16_t*>(p) + offset;
    const __m256i narrow = count == 16 ? _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from))
                                       : _mm256_maskz_loadu_epi16(mask(count), from);
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(narrow), 16));
  }
  static void store_lanes(void* p, std::int64_t offset, int count, V v) {
    auto* to = static_cast<std::uint16_t*>(p) + offset;
    const __m256i narrow = _mm512_cvtepi32_epi16(_mm512_srli_epi32(rounded(v), 16));
    if (count == 16) {
      _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), narrow);
    } else {
      _mm256_mask_storeu_epi16(to, mask(count), narrow);
    }
  }
};
