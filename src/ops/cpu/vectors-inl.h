// Included within a target region of each instruction set's source; no headers in here.
//
// Vector loops and 2^t. Polynomials are minimax in relative error; the short ones serve bfloat16
// storage, whose own rounding (2^-9) hides theirs.

#define TIGERBOT_INLINE inline __attribute__((always_inline))

using V = S::V;

template <typename T>
inline constexpr bool kShort = sizeof(T) == 2;

/// What a loop body reads and writes with: a whole vector, or the n lanes that are left. Lanes past
/// n read as zero.
struct Whole {
  template <typename T>
  static TIGERBOT_INLINE V load(const T* p) {
    return S::load(p);
  }
  template <typename T>
  static TIGERBOT_INLINE void store(T* p, V a) {
    S::store(p, a);
  }
  template <typename T>
  static TIGERBOT_INLINE void load_pairs(const T* p, V& even, V& odd) {
    S::load_pairs(p, even, odd);
  }
  template <typename T>
  static TIGERBOT_INLINE void store_pairs(T* p, V even, V odd) {
    S::store_pairs(p, even, odd);
  }
  static TIGERBOT_INLINE V keep(V a) { return a; }
  template <typename T>
  static TIGERBOT_INLINE V load_or(const T* p, V) {
    return S::load(p);
  }
};
struct Part {
  std::int64_t n;
  template <typename T>
  TIGERBOT_INLINE V load(const T* p) const {
    return S::load_n(p, n);
  }
  template <typename T>
  TIGERBOT_INLINE void store(T* p, V a) const {
    S::store_n(p, a, n);
  }
  template <typename T>
  TIGERBOT_INLINE void load_pairs(const T* p, V& even, V& odd) const {
    T both[2 * S::kWidth] = {};
    __builtin_memcpy(both, p, static_cast<std::size_t>(2 * n) * sizeof(T));
    S::load_pairs(both, even, odd);
  }
  template <typename T>
  TIGERBOT_INLINE void store_pairs(T* p, V even, V odd) const {
    T both[2 * S::kWidth];
    S::store_pairs(both, even, odd);
    __builtin_memcpy(p, both, static_cast<std::size_t>(2 * n) * sizeof(T));
  }
  /// The lanes past n are those of `other`.
  template <typename T>
  TIGERBOT_INLINE V load_or(const T* p, V other) const {
    return S::add(S::load_n(p, n), S::sub(other, S::keep_n(other, n)));
  }
  /// Zero in the lanes past n.
  TIGERBOT_INLINE V keep(V a) const { return S::keep_n(a, n); }
};

/// Calls body(i, lanes) for each vector of n elements.
template <typename Body>
TIGERBOT_INLINE void for_each_vector(std::int64_t n, const Body& body) {
  std::int64_t i = 0;
  for (; i + S::kWidth <= n; i += S::kWidth) body(i, Whole{});
  if (i < n) body(i, Part{n - i});
}

/// Sums terms(i, lanes, out) over the vectors of n elements, kSums sums at once. Four partial sums
/// each: one would wait for its own last addition every time.
template <int kSums>
struct Sums {
  float of[kSums];
};
template <int kSums, typename Terms>
TIGERBOT_INLINE Sums<kSums> sum_over(std::int64_t n, const Terms& terms) {
  V partial[kSums][4];
#pragma GCC unroll 2
  for (int s = 0; s < kSums; ++s) {
#pragma GCC unroll 4
    for (int k = 0; k < 4; ++k) partial[s][k] = S::zero();
  }
  V out[kSums];
  std::int64_t i = 0;
  for (; i + 4 * S::kWidth <= n; i += 4 * S::kWidth) {
#pragma GCC unroll 4
    for (int k = 0; k < 4; ++k) {
      terms(i + k * S::kWidth, Whole{}, out);
#pragma GCC unroll 2
      for (int s = 0; s < kSums; ++s) partial[s][k] = S::add(partial[s][k], out[s]);
    }
  }
  for (; i + S::kWidth <= n; i += S::kWidth) {
    terms(i, Whole{}, out);
#pragma GCC unroll 2
    for (int s = 0; s < kSums; ++s) partial[s][0] = S::add(partial[s][0], out[s]);
  }
  if (i < n) {
    const Part lanes{n - i};
    terms(i, lanes, out);
#pragma GCC unroll 2
    for (int s = 0; s < kSums; ++s) partial[s][1] = S::add(partial[s][1], lanes.keep(out[s]));
  }
  Sums<kSums> sums;
#pragma GCC unroll 2
  for (int s = 0; s < kSums; ++s) {
    sums.of[s] =
        S::sum(S::add(S::add(partial[s][0], partial[s][1]), S::add(partial[s][2], partial[s][3])));
  }
  return sums;
}

template <int kCount>
TIGERBOT_INLINE V polynomial(V x, const float (&coefficients)[kCount]) {
  V sum = S::set1(coefficients[kCount - 1]);
#pragma GCC unroll 16
  for (int i = kCount - 2; i >= 0; --i) sum = S::fma(sum, x, S::set1(coefficients[i]));
  return sum;
}

/// 2^t, to 7.5e-5 (for bfloat16) or 1e-7 of itself.
template <typename T>
TIGERBOT_INLINE V exp2_of(V t) {
  V whole;
  V fraction;
  S::split(t, whole, fraction);
  if constexpr (kShort<T>) {
    return S::scale2(polynomial(fraction, {0.9999280571937561f, 0.6932609677314758f,
                                           0.2426111400127411f, 0.055171672254800797f}),
                     whole);
  } else {
    return S::scale2(polynomial(fraction, {1.0f, 0.6931471824645996f, 0.24022646248340607f,
                                           0.05550328642129898f, 0.009618489071726799f,
                                           0.0013399930903688073f, 0.0001534580806037411f}),
                     whole);
  }
}

/// 1 / a, to 2^-14 of itself for bfloat16 where that is faster.
template <typename T>
TIGERBOT_INLINE V reciprocal_of(V a) {
  if constexpr (kShort<T> && S::kFastReciprocal) {
    return S::reciprocal(a);
  } else {
    return S::div(S::set1(1), a);
  }
}

constexpr float kLog2E = 1.44269504088896341f;

/// 1 / (1 + e^-x).
template <typename T>
TIGERBOT_INLINE V sigmoid(V x) {
  return reciprocal_of<T>(S::add(S::set1(1), exp2_of<T>(S::mul(x, S::set1(-kLog2E)))));
}
