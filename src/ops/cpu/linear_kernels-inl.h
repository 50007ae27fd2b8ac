// Included within a target region of each instruction set's source; no headers in here.
//
// V is sixteen float lanes; S says how a word (one float, or two bfloat16) of x and the same word
// of sixteen outputs are multiplied into them. Weights are one contiguous stream of such vectors.

template <class S, int kRows, int kPanels>
__attribute__((noinline)) void multiply_tile(const char* x, std::int64_t x_bytes,
                                             const char* weight, std::int64_t words, float* sums,
                                             std::int64_t stride) {
  using V = typename S::V;
  const std::int64_t panel_bytes = words * 64;
  V total[kRows][kPanels];
#pragma GCC unroll 8
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 4
    for (int p = 0; p < kPanels; ++p) total[r][p] = S::zero();
  }
  const char* next = weight;
#pragma GCC unroll 2
  for (std::int64_t k = 0; k < words; ++k) {
    typename S::Word right[kPanels];
#pragma GCC unroll 4
    for (int p = 0; p < kPanels; ++p) {
      // One straight stream: far enough ahead to hide memory, past the caches that others need.
      if constexpr (kPanels == 1) __builtin_prefetch(next + 4096, 0, 0);
      right[p] = S::load_word(next + p * panel_bytes);
    }
#pragma GCC unroll 8
    for (int r = 0; r < kRows; ++r) {
      const typename S::Word left = S::broadcast_word(x + r * x_bytes + 4 * k);
#pragma GCC unroll 4
      for (int p = 0; p < kPanels; ++p) total[r][p] = S::dot(total[r][p], left, right[p]);
    }
    next += 64;
  }
#pragma GCC unroll 8
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 4
    for (int p = 0; p < kPanels; ++p) S::store_sums(sums + r * stride + p * 16, total[r][p]);
  }
}

/// All rows, in tiles of kRows and then of ever fewer.
template <class S, int kPanels, int kRows>
void multiply_rows(const char* x, std::int64_t x_bytes, std::int64_t rows, const char* weight,
                   std::int64_t words, float* sums, std::int64_t stride) {
  for (; rows >= kRows; rows -= kRows) {
    multiply_tile<S, kRows, kPanels>(x, x_bytes, weight, words, sums, stride);
    x += kRows * x_bytes;
    sums += kRows * stride;
  }
  if constexpr (kRows > 1) {
    multiply_rows<S, kPanels, kRows - 1>(x, x_bytes, rows, weight, words, sums, stride);
  }
}

template <class S>
void multiply(const void* x, std::int64_t x_stride, std::int64_t rows, const void* weight,
              std::int64_t words, std::int64_t panels, float* sums, std::int64_t stride) {
  const auto* left = static_cast<const char*>(x);
  const auto* right = static_cast<const char*>(weight);
  const std::int64_t bytes = 4 * x_stride;
  if (panels == 3) {
    multiply_rows<S, 3, S::kRowsOf3>(left, bytes, rows, right, words, sums, stride);
  } else if (panels == 2) {
    multiply_rows<S, 2, S::kRowsOf2>(left, bytes, rows, right, words, sums, stride);
  } else {
    multiply_rows<S, 1, S::kRowsOf1>(left, bytes, rows, right, words, sums, stride);
  }
}

/// Lanes [0, columns) of whole and partial vectors of 16: fn(offset, count).
template <class Function>
inline __attribute__((always_inline)) void for_lanes(std::int64_t columns, Function fn) {
  std::int64_t c = 0;
  for (; c + 16 <= columns; c += 16) fn(c, 16);
  if (c < columns) fn(c, static_cast<int>(columns - c));
}

template <class S>
void store(const float* sums, const float* bias, std::int64_t columns, void* out) {
  using V = typename S::V;
  for_lanes(columns, [&](std::int64_t c, int count) {
    V v = S::load_floats(sums + c, count);
    if (bias != nullptr) v = S::add(v, S::load_floats(bias + c, count));
    S::store_lanes(out, c, count, v);
  });
}

template <class S>
void store_sum(const float* sums, const float* bias, std::int64_t columns, void* out) {
  using V = typename S::V;
  for_lanes(columns, [&](std::int64_t c, int count) {
    V v = S::load_floats(sums + c, count);
    if (bias != nullptr) v = S::add(v, S::load_floats(bias + c, count));
    S::store_lanes(out, c, count, S::add(S::round_storage(v), S::load_lanes(out, c, count)));
  });
}

/// e^x for |x| <= 87: 2^n by the exponent's bits, 2^f by a polynomial of degree 6 (relative error
/// below 2^-23).
template <class S>
inline __attribute__((always_inline)) typename S::V exponential(typename S::V x) {
  using V = typename S::V;
  const V t = S::mul(S::clamp(x, -87.0F, 87.0F), S::set(1.44269504F));
  const V n = S::round(t);
  const V f = S::sub(t, n);  // in [-1/2, 1/2]
  V p = S::set(1.5403530e-4F);
  p = S::fma(p, f, S::set(1.3333558e-3F));
  p = S::fma(p, f, S::set(9.6181291e-3F));
  p = S::fma(p, f, S::set(5.5504109e-2F));
  p = S::fma(p, f, S::set(2.4022651e-1F));
  p = S::fma(p, f, S::set(6.9314718e-1F));
  p = S::fma(p, f, S::set(1.0F));
  return S::scale_by_power(p, n);
}

template <class S>
void store_swiglu(const float* gate, const float* up, std::int64_t columns, void* out) {
  using V = typename S::V;
  for_lanes(columns, [&](std::int64_t c, int count) {
    const V g = S::round_storage(S::load_floats(gate + c, count));
    const V u = S::round_storage(S::load_floats(up + c, count));
    const V silu = S::div(g, S::add(S::set(1.0F), exponential<S>(S::sub(S::zero(), g))));
    S::store_lanes(out, c, count, S::mul(silu, u));
  });
}

template <class S>
void rms_norm(const void* x, const float* weight, std::int64_t features, float eps, void* out) {
  using V = typename S::V;
  V squares = S::zero();
  for_lanes(features, [&](std::int64_t c, int count) {
    const V v = S::load_lanes(x, c, count);
    squares = S::fma(v, v, squares);
  });
  const float scale = 1.0F / std::sqrt(S::sum(squares) / static_cast<float>(features) + eps);
  for_lanes(features, [&](std::int64_t c, int count) {
    const V v = S::mul(S::load_lanes(x, c, count), S::set(scale));
    S::store_lanes(out, c, count, S::mul(v, S::load_floats(weight + c, count)));
  });
}

template <class S>
void rotate(void* head, const float* cos, const float* sin, std::int64_t half) {
  using V = typename S::V;
  for_lanes(half, [&](std::int64_t c, int count) {
    const V a = S::load_lanes(head, c, count);
    const V b = S::load_lanes(head, half + c, count);
    const V cosine = S::load_floats(cos + c, count);
    const V sine = S::load_floats(sin + c, count);
    S::store_lanes(head, c, count, S::sub(S::mul(a, cosine), S::mul(b, sine)));
    S::store_lanes(head, half + c, count, S::add(S::mul(b, cosine), S::mul(a, sine)));
  });
}

template <class S>
constexpr LinearKernels make_linear_kernels() {
  return {multiply<S>, store<S>, store_sum<S>, store_swiglu<S>, rms_norm<S>, rotate<S>};
}
