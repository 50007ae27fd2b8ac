// Included within a target region of each instruction set's source; no headers in here.
//
// The one matrix product of attention. Operands are 32-bit words: one float, or two bfloat16 that
// stand next to each other in the summed dimension, which is what vdpbf16ps multiplies. The left
// operand is row-major (its words are broadcast), the right one [summed words][columns], so every
// load is contiguous.

/// kScale: c = *scale * a b (by address: a register more would spill an operand). kAdd: c += a b.
enum class Store { kScale, kAdd };

template <class S, int kRows, int kColumns, Store kStore>
inline __attribute__((always_inline)) void product_tile(int depth, const Word* a, std::int64_t lda,
                                                        const Word* b, std::int64_t ldb, float* c,
                                                        std::int64_t ldc, const float* scale) {
  using V = typename S::V;
  V sums[kRows][kColumns];
#pragma GCC unroll 8
  for (int i = 0; i < kRows; ++i) {
#pragma GCC unroll 8
    for (int j = 0; j < kColumns; ++j) {
      sums[i][j] = kStore == Store::kAdd ? S::load(c + i * ldc + j * S::kWidth) : S::zero();
    }
  }
  for (int k = 0; k < depth; ++k) {
    V right[kColumns];
#pragma GCC unroll 8
    for (int j = 0; j < kColumns; ++j) right[j] = S::load_words(b + j * S::kWidth);
#pragma GCC unroll 8
    for (int i = 0; i < kRows; ++i) {
      const V left = S::broadcast_word(a + i * lda + k);
#pragma GCC unroll 8
      for (int j = 0; j < kColumns; ++j) sums[i][j] = S::dot(sums[i][j], left, right[j]);
    }
    b += ldb;
  }
#pragma GCC unroll 8
  for (int i = 0; i < kRows; ++i) {
#pragma GCC unroll 8
    for (int j = 0; j < kColumns; ++j) {
      const V sum = kStore == Store::kScale ? S::mul(sums[i][j], S::set1(*scale)) : sums[i][j];
      S::store(c + i * ldc + j * S::kWidth, sum);
    }
  }
}

template <class S, int kRows, Store kStore>
__attribute__((noinline)) void product_columns(int columns, int depth, const Word* a,
                                               std::int64_t lda, const Word* b, std::int64_t ldb,
                                               float* c, std::int64_t ldc, const float* scale) {
  static_assert(S::kColumns == 2 || S::kColumns == 4);
  while (columns >= S::kColumns) {
    product_tile<S, kRows, S::kColumns, kStore>(depth, a, lda, b, ldb, c, ldc, scale);
    columns -= S::kColumns;
    b += S::kColumns * S::kWidth;
    c += S::kColumns * S::kWidth;
  }
  if constexpr (S::kColumns == 4) {
    if (columns == 3) product_tile<S, kRows, 3, kStore>(depth, a, lda, b, ldb, c, ldc, scale);
    if (columns == 2) product_tile<S, kRows, 2, kStore>(depth, a, lda, b, ldb, c, ldc, scale);
  }
  if (columns == 1) product_tile<S, kRows, 1, kStore>(depth, a, lda, b, ldb, c, ldc, scale);
}

/// c [rows, columns * kWidth] from a [rows, depth] and b [depth, columns * kWidth] words; at most
/// S::kRows rows.
template <class S, Store kStore>
inline void product_rows(int rows, int columns, int depth, const Word* a, std::int64_t lda,
                         const Word* b, std::int64_t ldb, float* c, std::int64_t ldc,
                         const float* scale = nullptr) {
  static_assert(S::kRows == 6);
  switch (rows) {
    case 1:
      return product_columns<S, 1, kStore>(columns, depth, a, lda, b, ldb, c, ldc, scale);
    case 2:
      return product_columns<S, 2, kStore>(columns, depth, a, lda, b, ldb, c, ldc, scale);
    case 3:
      return product_columns<S, 3, kStore>(columns, depth, a, lda, b, ldb, c, ldc, scale);
    case 4:
      return product_columns<S, 4, kStore>(columns, depth, a, lda, b, ldb, c, ldc, scale);
    case 5:
      return product_columns<S, 5, kStore>(columns, depth, a, lda, b, ldb, c, ldc, scale);
    case 6:
      return product_columns<S, 6, kStore>(columns, depth, a, lda, b, ldb, c, ldc, scale);
  }
}

inline int smaller(int a, int b) { return a < b ? a : b; }
inline int larger(int a, int b) { return a > b ? a : b; }
inline int round_up(int x, int multiple) { return (x + multiple - 1) / multiple * multiple; }

/// Stands for scratch memory where only its size is asked; never read or written.
inline float* measuring_address() { return reinterpret_cast<float*>(std::uintptr_t{64}); }

/// Words that hold `elements` of a summed dimension.
template <class S>
inline int words(int elements) {
  return (elements + S::kPair - 1) / S::kPair;
}

/// 2^x for x <= 127, 0 below -200: to 2.6e-6, which is far below the rounding of bfloat16 operands,
/// or (kExact) to float32's own, with 2^0 = 1. The polynomials are minimax on [-1/2, 1/2].
template <class S, bool kExact>
inline __attribute__((always_inline)) typename S::V exp2_of(typename S::V x) {
  x = S::max(S::set1(-200.0f), x);  // in this order NaN stays NaN
  const typename S::V whole = S::round(x);
  const typename S::V f = S::sub(x, whole);
  typename S::V p;
  if constexpr (kExact) {
    p = S::fma(S::set1(0.000153458124f), f, S::set1(0.00133999309f));
    p = S::fma(p, f, S::set1(0.00961848907f));
    p = S::fma(p, f, S::set1(0.0555032864f));
    p = S::fma(p, f, S::set1(0.240226462f));
    p = S::fma(p, f, S::set1(0.693147182f));
    p = S::fma(p, f, S::set1(1.0f));
  } else {
    p = S::fma(S::set1(0.0095701013f), f, S::set1(0.0559178628f));
    p = S::fma(p, f, S::set1(0.240247443f));
    p = S::fma(p, f, S::set1(0.693121791f));
    p = S::fma(p, f, S::set1(0.999999285f));
  }
  return S::scale_by_power(p, whole);
}

/// The same as the storage type asks for.
template <class S>
inline __attribute__((always_inline)) typename S::V probability(typename S::V x) {
  return exp2_of<S, sizeof(typename S::Source) == 4>(x);
}

/// 2^x of one number; 1 at 0.
template <class S>
inline float exp2_scalar(float x) {
  alignas(64) float lanes[S::kWidth];
  S::store(lanes, exp2_of<S, true>(S::set1(x)));
  return lanes[0];
}

/// out[k][i] = word k of row i: rows become columns, so that lanes are rows. rows[count..kWidth)
/// read as zero. Elements are of the storage type or int8, here and below; integers up to 127 are
/// exact in any word.
template <class S, class Element>
inline void pack_transposed(const Element* const* rows, int count, int elements, Word* out,
                            std::int64_t ld) {
  const int depth = words<S>(elements);
  for (int k = 0; k < depth; k += S::kWidth) {
    typename S::V lines[S::kWidth];
    for (int i = 0; i < S::kWidth; ++i) {
      lines[i] = i < count ? S::load_source_words(rows[i] + k * S::kPair, elements - k * S::kPair)
                           : S::zero();
    }
    S::transpose(lines);
    const int n = smaller(S::kWidth, depth - k);
    for (int j = 0; j < n; ++j) S::store_words(out + (k + j) * ld, lines[j]);
  }
}

/// out[i][k] = word k of row i.
template <class S>
inline void pack_row(const typename S::Source* row, int elements, Word* out) {
  const int depth = words<S>(elements);
  for (int k = 0; k < depth; k += S::kWidth) {
    S::store_some_words(out + k, S::load_source_words(row + k * S::kPair, elements - k * S::kPair),
                        smaller(S::kWidth, depth - k));
  }
}

/// out[i / kPair][j] = element j of rows i (and i + 1): the right operand of a sum over rows.
/// Writes words(count) rows of `padded` words, zero past the elements and past the last row.
template <class S, class Element>
inline void pack_paired(const Element* const* rows, int count, int elements, int padded, Word* out,
                        std::int64_t ld) {
  for (int i = 0; i < count; i += S::kPair) {
    for (int j = 0; j < padded; j += S::kWidth) {
      const int n = elements - j;
      if constexpr (S::kPair == 2) {
        S::store_words(out + j, S::pair_source_words(rows[i] + j,
                                                     i + 1 < count ? rows[i + 1] + j : nullptr, n));
      } else {
        S::store_words(out + j, S::load_source_words(rows[i] + j, n));
      }
    }
    out += ld;
  }
}

/// Addresses of rows [first, first + count).
template <class Element>
inline void row_addresses(const RowSource& source, std::int64_t first, int count,
                          const Element** rows) {
  const auto* base = static_cast<const Element*>(source.base);
  if (source.blocks == nullptr) {
    for (int i = 0; i < count; ++i) rows[i] = base + (first + i) * source.row_stride;
    return;
  }
  std::int64_t block = first / source.block_size;
  std::int64_t offset = first % source.block_size;
  for (int i = 0; i < count;) {
    const auto* row =
        base + source.blocks[block] * source.block_stride + offset * source.row_stride;
    for (; i < count && offset < source.block_size; ++i, ++offset, row += source.row_stride) {
      rows[i] = row;
    }
    ++block;
    offset = 0;
  }
}

/// Asks for rows that are read next: a cache's blocks are too short for the processor to guess.
/// (Inlined by force: g++ takes a function that only prefetches for one without effect.)
template <class Element>
inline __attribute__((always_inline)) void prefetch_rows(const Element* const* rows, int count,
                                                         int elements) {
  constexpr int kLine = 64 / static_cast<int>(sizeof(Element));
  for (int i = 0; i < count; ++i) {
    for (int j = 0; j < elements; j += kLine) __builtin_prefetch(rows[i] + j, 0, 2);
  }
}

/// Scales of a quantized cache's rows [first, first + count), then zeros up to a whole vector.
template <class S>
inline void gather_scales(const RowSource& source, std::int64_t first, int count, float* scales) {
  std::int64_t block = first / source.block_size;
  std::int64_t offset = first % source.block_size;
  for (int i = 0; i < count;) {
    const float* from = source.scales + source.blocks[block] * source.scale_block_stride;
    for (; i < count && offset < source.block_size; ++i, ++offset) scales[i] = from[offset];
    ++block;
    offset = 0;
  }
  for (int i = count; i < round_up(count, S::kWidth); ++i) scales[i] = 0;
}
