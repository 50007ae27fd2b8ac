// Included within a target region of each instruction set's source; no headers in here.
//
// V is sixteen float lanes; S says how a word (one float, or two bfloat16) of x and the same word
// of sixteen outputs are multiplied into them. Weights are one contiguous stream of such vectors.

/// Lanes [0, columns) of whole and partial vectors of 16: fn(offset, count).
template <class Function>
inline __attribute__((always_inline)) void for_lanes(std::int64_t columns, Function fn) {
  std::int64_t c = 0;
  for (; c + 16 <= columns; c += 16) fn(c, 16);
  if (c < columns) fn(c, static_cast<int>(columns - c));
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
inline __attribute__((always_inline)) typename S::V with_bias(typename S::V sum, const float* bias,
                                                              std::int64_t column, int count) {
  return bias == nullptr ? sum : S::add(sum, S::load_floats(bias + column, count));
}

template <class S>
inline __attribute__((always_inline)) typename S::V silu(typename S::V x) {
  return S::div(x, S::add(S::set(1.0F), exponential<S>(S::sub(S::zero(), x))));
}

/// Lanes of panel p that are columns of the output.
inline int panel_columns(const ProductOutput& output, int panel) {
  const std::int64_t left = output.columns - 16 * panel;
  return left >= 16 ? 16 : static_cast<int>(left);
}

template <class S, int kRows, int kPanels>
inline __attribute__((always_inline)) void finish_tile(typename S::V (&total)[kRows][kPanels],
                                                       const ProductOutput& output, char* out,
                                                       std::int64_t out_bytes) {
  using V = typename S::V;
  if (output.finish == Finish::kSwiglu) {
    if constexpr (kPanels == 2) {
      const int count = panel_columns(output, 0);
#pragma GCC unroll 16
      for (int r = 0; r < kRows; ++r) {
        const V gate = S::round_storage(with_bias<S>(total[r][0], output.bias, 0, count));
        const V up = S::round_storage(with_bias<S>(total[r][1], output.up_bias, 0, count));
        S::store_lanes(out + r * out_bytes, 0, count, S::mul(silu<S>(gate), up));
      }
    }
    return;
  }
#pragma GCC unroll 4
  for (int p = 0; p < kPanels; ++p) {
    const int count = panel_columns(output, p);
#pragma GCC unroll 16
    for (int r = 0; r < kRows; ++r) {
      V v = with_bias<S>(total[r][p], output.bias, 16 * p, count);
      char* row = out + r * out_bytes;
      if (output.finish == Finish::kAdd) {
        v = S::add(S::round_storage(v), S::load_lanes(row, 16 * p, count));
      }
      S::store_lanes(row, 16 * p, count, v);
    }
  }
}

template <class S, int kRows, int kPanels>
__attribute__((noinline)) void multiply_tile(const char* x, std::int64_t x_bytes,
                                             const char* weight, const PanelLayout& layout,
                                             std::int64_t words, const ProductOutput& output,
                                             char* out, std::int64_t out_bytes) {
  using V = typename S::V;
  V total[kRows][kPanels];
#pragma GCC unroll 16
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 4
    for (int p = 0; p < kPanels; ++p) total[r][p] = S::zero();
  }
  const std::int64_t panel_bytes = layout.panel_bytes;
  const std::int64_t word_bytes = layout.word_bytes;
  const char* next = weight;
  for (std::int64_t k = 0; k < words; ++k) {
    typename S::Word right[kPanels];
#pragma GCC unroll 4
    for (int p = 0; p < kPanels; ++p) {
      // One straight stream: far enough ahead to hide memory, past the caches that others need.
      if constexpr (kPanels < 3) __builtin_prefetch(next + p * panel_bytes + 4096, 0, 0);
      right[p] = S::load_word(next + p * panel_bytes);
    }
#pragma GCC unroll 16
    for (int r = 0; r < kRows; ++r) {
      const typename S::Word left = S::broadcast_word(x + r * x_bytes + 4 * k);
#pragma GCC unroll 4
      for (int p = 0; p < kPanels; ++p) total[r][p] = S::dot(total[r][p], left, right[p]);
    }
    next += word_bytes;
  }
  finish_tile<S, kRows, kPanels>(total, output, out, out_bytes);
}

/// All rows, in tiles of kRows and then of ever fewer.
template <class S, int kPanels, int kRows>
void multiply_rows(const char* x, std::int64_t x_bytes, std::int64_t rows, const char* weight,
                   const PanelLayout& layout, std::int64_t words, const ProductOutput& output,
                   char* out) {
  const std::int64_t out_bytes = output.stride * S::kElementBytes;
  for (; rows >= kRows; rows -= kRows) {
    multiply_tile<S, kRows, kPanels>(x, x_bytes, weight, layout, words, output, out, out_bytes);
    x += kRows * x_bytes;
    out += kRows * out_bytes;
  }
  if constexpr (kRows > 1) {
    multiply_rows<S, kPanels, kRows - 1>(x, x_bytes, rows, weight, layout, words, output, out);
  }
}

template <class S>
void multiply(const void* x, std::int64_t x_stride, std::int64_t rows, const void* weight,
              const PanelLayout& layout, std::int64_t words, std::int64_t panels,
              const ProductOutput& output) {
  const auto* left = static_cast<const char*>(x);
  const auto* right = static_cast<const char*>(weight);
  auto* out = static_cast<char*>(output.out);
  const std::int64_t bytes = 4 * x_stride;
  if (panels == 3) {
    multiply_rows<S, 3, S::kRowsOf3>(left, bytes, rows, right, layout, words, output, out);
  } else if (panels == 2) {
    multiply_rows<S, 2, S::kRowsOf2>(left, bytes, rows, right, layout, words, output, out);
  } else {
    multiply_rows<S, 1, S::kRowsOf1>(left, bytes, rows, right, layout, words, output, out);
  }
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
void finish(const float* totals, std::int64_t rows, const ProductOutput& output) {
  using V = typename S::V;
  const std::int64_t out_bytes = output.stride * S::kElementBytes;
  auto* out = static_cast<char*>(output.out);
  for (std::int64_t r = 0; r < rows; ++r, totals += 32, out += out_bytes) {
    if (output.finish == Finish::kSwiglu) {
      V both[1][2] = {{S::load_floats(totals, 16), S::load_floats(totals + 16, 16)}};
      finish_tile<S, 1, 2>(both, output, out, out_bytes);
    } else {
      V one[1][1] = {{S::load_floats(totals, 16)}};
      finish_tile<S, 1, 1>(one, output, out, out_bytes);
    }
  }
}

template <class S>
constexpr LinearKernels make_linear_kernels() {
  return {multiply<S>, rms_norm<S>, rotate<S>, finish<S>};
}
