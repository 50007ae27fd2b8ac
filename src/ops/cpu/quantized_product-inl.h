// Included within a target region of each instruction set's source; no headers in here.
//
// Codes become bfloat16 or float32 (code less zero, exact in either) a few hundred features of one
// panel at a time, in a buffer that stays in the first-level cache; rows of x are then multiplied
// with it as with a dense panel, and the sum scaled. The conversion is written in the compiler's
// vectors, which serve every instruction set.

using Bytes16 = std::uint8_t __attribute__((vector_size(16)));
using Shorts16 = std::int16_t __attribute__((vector_size(32)));
using Halves16 = std::uint16_t __attribute__((vector_size(32)));
using Ints16 = std::int32_t __attribute__((vector_size(64)));
using Words16 = std::uint32_t __attribute__((vector_size(64)));
using Floats16 = float __attribute__((vector_size(64)));

/// Pairs of input features that are converted at once, and rows that share the conversion.
constexpr std::int64_t kExpandedPairs = 128;
constexpr std::int64_t kSharingRows = 64;

/// Codes less zero of `pairs` pairs: for bfloat16 one word of 16 outputs a pair, for float32 two.
template <class S>
inline __attribute__((always_inline)) void expand_codes(const std::uint8_t* codes, bool nibbles,
                                                        const std::int16_t* zeros,
                                                        std::int64_t pairs, char* out) {
  Shorts16 narrow_zero;
  __builtin_memcpy(&narrow_zero, zeros, sizeof(narrow_zero));
  const Ints16 zero = __builtin_convertvector(narrow_zero, Ints16);
  for (std::int64_t k = 0; k < pairs; ++k) {
    Bytes16 low, high;
    if (nibbles) {
      Bytes16 both;
      __builtin_memcpy(&both, codes + 16 * k, 16);
      low = both & 15;
      high = both >> 4;
    } else {
      __builtin_memcpy(&low, codes + 32 * k, 16);
      __builtin_memcpy(&high, codes + 32 * k + 16, 16);
    }
    const Floats16 first =
        __builtin_convertvector(__builtin_convertvector(low, Ints16) - zero, Floats16);
    const Floats16 second =
        __builtin_convertvector(__builtin_convertvector(high, Ints16) - zero, Floats16);
    if constexpr (S::kElementBytes == 2) {
      Words16 a, b;
      __builtin_memcpy(&a, &first, 64);
      __builtin_memcpy(&b, &second, 64);
      const Words16 word = (a >> 16) | (b & 0xffff0000U);
      __builtin_memcpy(out + 64 * k, &word, 64);
    } else {
      __builtin_memcpy(out + 128 * k, &first, 64);
      __builtin_memcpy(out + 128 * k + 64, &second, 64);
    }
  }
}

/// Sixteen float16 as float32; they are finite.
inline __attribute__((always_inline)) void widen_halves(const std::uint16_t* halves, float* out) {
  Halves16 narrow;
  __builtin_memcpy(&narrow, halves, sizeof(narrow));
  const Words16 bits = __builtin_convertvector(narrow, Words16);
  const Words16 shifted = (bits & 0x7fffU) << 13;
  Floats16 value;
  __builtin_memcpy(&value, &shifted, 64);
  value *= 0x1p112F;  // the difference of the exponents' biases; right for subnormals too
  Words16 magnitude;
  __builtin_memcpy(&magnitude, &value, 64);
  magnitude |= (bits & 0x8000U) << 16;
  __builtin_memcpy(out, &magnitude, 64);
}

/// total[r] += scale * (row r of x times the expanded words), in tiles of kRows and then fewer.
template <class S, int kRows>
void add_expanded(const char* x, std::int64_t x_bytes, std::int64_t rows, const char* expanded,
                  std::int64_t words, const typename S::V& scale, typename S::V* total) {
  using V = typename S::V;
  for (; rows >= kRows; rows -= kRows) {
    V sum[kRows];
#pragma GCC unroll 16
    for (int r = 0; r < kRows; ++r) sum[r] = S::zero();
    for (std::int64_t k = 0; k < words; ++k) {
      const typename S::Word right = S::load_word(expanded + 64 * k);
#pragma GCC unroll 16
      for (int r = 0; r < kRows; ++r) {
        sum[r] = S::dot(sum[r], S::broadcast_word(x + r * x_bytes + 4 * k), right);
      }
    }
#pragma GCC unroll 16
    for (int r = 0; r < kRows; ++r) total[r] = S::fma(sum[r], scale, total[r]);
    x += kRows * x_bytes;
    total += kRows;
  }
  if constexpr (kRows > 1) {
    add_expanded<S, kRows / 2>(x, x_bytes, rows, expanded, words, scale, total);
  }
}

template <class S>
void multiply_quantized(const void* x, std::int64_t x_stride, std::int64_t rows,
                        const QuantizedPanel& panel, const ProductOutput& output) {
  using V = typename S::V;
  constexpr std::int64_t kWordsPerPair = S::kElementBytes == 2 ? 1 : 2;
  alignas(64) char expanded[kExpandedPairs * kWordsPerPair * 64];
  alignas(64) float scales[16];
  const std::int64_t pair_bytes = panel.nibbles ? 16 : 32;
  const std::int64_t out_bytes = output.stride * S::kElementBytes;
  for (std::int64_t first = 0; first < rows; first += kSharingRows) {
    const std::int64_t count = rows - first < kSharingRows ? rows - first : kSharingRows;
    const char* left = static_cast<const char*>(x) + first * 4 * x_stride;
    V total[kSharingRows];
    for (std::int64_t r = 0; r < count; ++r) total[r] = S::zero();
    for (std::int64_t g = 0; g < panel.groups; ++g) {
      widen_halves(panel.scales + 16 * g, scales);
      const V scale = S::load_floats(scales, 16);
      const std::int64_t end = panel.group_words[g + 1];
      for (std::int64_t k = panel.group_words[g]; k < end; k += kExpandedPairs) {
        const std::int64_t pairs = end - k < kExpandedPairs ? end - k : kExpandedPairs;
        expand_codes<S>(panel.codes + k * pair_bytes, panel.nibbles, panel.zeros + 16 * g, pairs,
                        expanded);
        add_expanded<S, S::kRowsOf1>(left + 4 * kWordsPerPair * k, 4 * x_stride, count, expanded,
                                     kWordsPerPair * pairs, scale, total);
      }
    }
    char* out = static_cast<char*>(output.out) + first * out_bytes;
    for (std::int64_t r = 0; r < count; ++r) {
      V one[1][1] = {{total[r]}};
      finish_tile<S, 1, 1>(one, output, out + r * out_bytes, out_bytes);
    }
  }
}
