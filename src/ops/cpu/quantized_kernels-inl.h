// Included within a target region of each instruction set's source; no headers in here.
//
// S gives sixteen float lanes V, sixteen int32 lanes I, and 64 bytes of codes (four features of
// each of sixteen outputs) that dot() multiplies with four rounded activations.

/// Floats of a panel's scales (or offsets) of one chunk.
constexpr std::int64_t kChunkFloats = kChunkBlocks * 2 * 16;

/// One chunk of one or two panels, ready for the loops.
struct Chunk {
  const std::uint8_t* codes[2];
  const float* scales;   // [panel][unit of the chunk][16]
  const float* offsets;  // the same, or null
  std::int64_t blocks;   // at most kChunkBlocks
  bool first;            // totals begin here
};

/// Which of `blocks` blocks from the start of x are to be multiplied: all, or those that any row
/// has.
inline std::uint32_t blocks_of(const RoundedRows& x, int rows, std::int64_t blocks) {
  const std::uint32_t all = (1U << blocks) - 1;
  if (x.present == nullptr) return all;
  std::uint32_t any = 0;
  for (int r = 0; r < rows; ++r) any |= x.present[r * x.present_stride];
  return any & all;
}

template <class S>
inline __attribute__((always_inline)) typename S::V unit_scale(const QuantizedPanel& panel,
                                                               std::int64_t group) {
  if (panel.scale_kind == ScaleKind::kHalf) {
    return S::load_halves(static_cast<const std::uint16_t*>(panel.scales) + 16 * group);
  }
  return S::mul(S::load_int8(static_cast<const std::int8_t*>(panel.scales) + 16 * group),
                S::load_halves(panel.super_scales + 16 * (group / panel.groups_per_super)));
}

/// What is added to scale * code.
template <class S>
inline __attribute__((always_inline)) typename S::V unit_offset(const QuantizedPanel& panel,
                                                                std::int64_t group,
                                                                typename S::V scale) {
  using V = typename S::V;
  switch (panel.offset_kind) {
    case OffsetKind::kMiddle:
      break;
    case OffsetKind::kZeros: {
      const V zero = S::load_int16(static_cast<const std::int16_t*>(panel.offsets) + 16 * group);
      return S::mul(scale, S::sub(S::zero(), zero));
    }
    case OffsetKind::kHalf:
      return S::load_halves(static_cast<const std::uint16_t*>(panel.offsets) + 16 * group);
    case OffsetKind::kSuper: {
      const V small = S::load_uint8(static_cast<const std::uint8_t*>(panel.offsets) + 16 * group);
      const V super = S::load_halves(panel.super_offsets + 16 * (group / panel.groups_per_super));
      return S::sub(S::zero(), S::mul(small, super));
    }
  }
  return S::zero();
}

/// Scales, and offsets where there are any, of units [first, end) as floats.
template <class S>
void expand_scales(const QuantizedPanel& panel, std::int64_t first, std::int64_t end, float* scales,
                   float* offsets) {
  const bool has_offsets = panel.offset_kind != OffsetKind::kMiddle;
  for (std::int64_t u = first; u < end; ++u) {
    const std::int64_t group = panel.unit_groups[u];
    const typename S::V scale = unit_scale<S>(panel, group);
    S::store_floats(scales + 16 * (u - first), scale);
    if (has_offsets) {
      S::store_floats(offsets + 16 * (u - first), unit_offset<S>(panel, group, scale));
    }
  }
}

/// Two codes a byte -> one.
template <class S>
void unpack_nibbles(const std::uint8_t* from, std::int64_t blocks, std::uint8_t* to) {
  for (std::int64_t i = 0; i < 4 * blocks; ++i) {
    const typename S::Codes both = S::load_codes(from + 64 * i);
    S::store_codes(to + 128 * i, S::lower(both));
    S::store_codes(to + 128 * i + 64, S::upper(both));
  }
}

/// totals += kRows rows times kPanels panels, over the blocks of a chunk. kNibbles: codes lie two a
/// byte; kSmall: they are below 16.
template <class S, int kRows, int kPanels, bool kNibbles, bool kSmall, bool kOffset, int kUnit>
__attribute__((noinline)) void dot_tile(const RoundedRows& x, const Chunk& chunk,
                                        std::uint32_t blocks, float* totals) {
  using V = typename S::V;
  using I = typename S::I;
  constexpr int kUnits = 32 / kUnit;  // of a block
  constexpr std::int64_t kBlockBytes = kNibbles ? 256 : 512;
  V total[kRows][kPanels];
#pragma GCC unroll 16
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 4
    for (int p = 0; p < kPanels; ++p) {
      total[r][p] = chunk.first ? S::zero() : S::load_floats(totals + 32 * r + 16 * p, 16);
    }
  }
  const std::int64_t stride = x.code_stride;
  for (std::uint32_t todo = blocks; todo != 0; todo &= todo - 1) {
    const std::int64_t b = __builtin_ctz(todo);
    const std::int8_t* left = x.codes + 32 * b;
    const std::uint8_t* codes[kPanels];
#pragma GCC unroll 4
    for (int p = 0; p < kPanels; ++p) codes[p] = chunk.codes[p] + b * kBlockBytes;
#pragma GCC unroll 2
    for (int u = 0; u < kUnits; ++u) {
      const std::int64_t unit = b * kUnits + u;
      I sum[kRows][kPanels];
#pragma GCC unroll 16
      for (int r = 0; r < kRows; ++r) {
        I begin = S::zero_int();
        if constexpr (!kOffset) begin = S::set_int(x.corrections[r * x.correction_stride + unit]);
#pragma GCC unroll 4
        for (int p = 0; p < kPanels; ++p) sum[r][p] = begin;
      }
      constexpr int kLoads = kUnit / (kNibbles ? 8 : 4);
#pragma GCC unroll 8
      for (int i = 0; i < kLoads; ++i) {
        typename S::Codes right[kPanels];
#pragma GCC unroll 4
        for (int p = 0; p < kPanels; ++p) {
          const std::uint8_t* at = codes[p] + 64 * (u * kLoads + i);
          // One straight stream: far enough ahead to hide memory.
          if constexpr (kPanels == 1) __builtin_prefetch(at + 4096, 0, 0);
          right[p] = S::load_codes(at);
        }
        const std::int8_t* four = left + kUnit * u + (kNibbles ? 8 : 4) * i;
        if constexpr (kNibbles) {
          typename S::Codes half[kPanels];
#pragma GCC unroll 4
          for (int p = 0; p < kPanels; ++p) half[p] = S::lower(right[p]);
#pragma GCC unroll 16
          for (int r = 0; r < kRows; ++r) {
            const typename S::Four spread = S::spread(four + r * stride);
#pragma GCC unroll 4
            for (int p = 0; p < kPanels; ++p) {
              sum[r][p] = S::template dot<kSmall>(sum[r][p], half[p], spread);
            }
          }
#pragma GCC unroll 4
          for (int p = 0; p < kPanels; ++p) right[p] = S::upper(right[p]);
          four += 4;
        }
#pragma GCC unroll 16
        for (int r = 0; r < kRows; ++r) {
          const typename S::Four spread = S::spread(four + r * stride);
#pragma GCC unroll 4
          for (int p = 0; p < kPanels; ++p) {
            sum[r][p] = S::template dot<kSmall>(sum[r][p], right[p], spread);
          }
        }
      }
#pragma GCC unroll 4
      for (int p = 0; p < kPanels; ++p) {
        const V scale = S::load_floats(chunk.scales + p * kChunkFloats + 16 * unit, 16);
#pragma GCC unroll 16
        for (int r = 0; r < kRows; ++r) {
          const V both = S::mul(scale, S::set(x.scales[r * x.scale_stride + b]));
          total[r][p] = S::fma(S::to_floats(sum[r][p]), both, total[r][p]);
        }
        if constexpr (kOffset) {
          const V offset = S::load_floats(chunk.offsets + p * kChunkFloats + 16 * unit, 16);
#pragma GCC unroll 16
          for (int r = 0; r < kRows; ++r) {
            const float scaled =
                __builtin_bit_cast(float, x.corrections[r * x.correction_stride + unit]);
            total[r][p] = S::fma(offset, S::set(scaled), total[r][p]);
          }
        }
      }
    }
  }
#pragma GCC unroll 16
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 4
    for (int p = 0; p < kPanels; ++p) S::store_floats(totals + 32 * r + 16 * p, total[r][p]);
  }
}

/// All rows, in tiles of kRows and then of ever fewer.
template <class S, int kRows, int kPanels, bool kNibbles, bool kSmall, bool kOffset, int kUnit>
void dot_rows(RoundedRows x, std::int64_t rows, const Chunk& chunk, float* totals) {
  for (; rows >= kRows; rows -= kRows) {
    const std::uint32_t blocks = blocks_of(x, kRows, chunk.blocks);
    if (chunk.first || blocks != 0) {
      dot_tile<S, kRows, kPanels, kNibbles, kSmall, kOffset, kUnit>(x, chunk, blocks, totals);
    }
    x = x.from(kRows);
    totals += 32 * kRows;
  }
  if constexpr (kRows > 1) {
    if (rows > 0) {
      dot_rows<S, kRows - 1, kPanels, kNibbles, kSmall, kOffset, kUnit>(x, rows, chunk, totals);
    }
  }
}

template <class S, int kRows, int kPanels, bool kNibbles, bool kSmall>
void dot_chunk(const RoundedRows& x, std::int64_t rows, bool offset, int unit, const Chunk& chunk,
               float* totals) {
  if (unit == 32) {
    if (offset) {
      dot_rows<S, kRows, kPanels, kNibbles, kSmall, true, 32>(x, rows, chunk, totals);
    } else {
      dot_rows<S, kRows, kPanels, kNibbles, kSmall, false, 32>(x, rows, chunk, totals);
    }
  } else if (offset) {
    dot_rows<S, kRows, kPanels, kNibbles, kSmall, true, 16>(x, rows, chunk, totals);
  } else {
    dot_rows<S, kRows, kPanels, kNibbles, kSmall, false, 16>(x, rows, chunk, totals);
  }
}

/// One chunk of one or two panels; `like` says how they lie. `stream`: codes lie as in memory.
template <class S>
void dot_panels(const RoundedRows& x, std::int64_t rows, const QuantizedPanel& like, int count,
                bool stream, const Chunk& chunk, float* totals) {
  const bool offset = like.offset_kind != OffsetKind::kMiddle;
  if (count == 2) {
    if constexpr (S::kTilePanels == 2) {
      if (like.nibbles) {
        dot_chunk<S, S::kTileRows, 2, false, S::kNarrowDot>(x, rows, offset, like.unit, chunk,
                                                            totals);
      } else {
        dot_chunk<S, S::kTileRows, 2, false, false>(x, rows, offset, like.unit, chunk, totals);
      }
    }
  } else if (!like.nibbles) {
    dot_chunk<S, S::kStreamRows, 1, false, false>(x, rows, offset, like.unit, chunk, totals);
  } else if (stream) {
    dot_chunk<S, S::kStreamRows, 1, true, S::kNarrowDot>(x, rows, offset, like.unit, chunk, totals);
  } else {
    dot_chunk<S, S::kStreamRows, 1, false, S::kNarrowDot>(x, rows, offset, like.unit, chunk,
                                                          totals);
  }
}

/// One or two panels, chunk after chunk. Few rows: codes are unpacked in the registers.
template <class S>
void multiply_panels(RoundedRows x, std::int64_t rows, const QuantizedPanel* panels, int count,
                     std::int64_t blocks, float* totals) {
  alignas(64) std::uint8_t unpacked[2][kChunkBlocks * 512];
  alignas(64) float scales[2 * kChunkFloats];
  alignas(64) float offsets[2 * kChunkFloats];
  const QuantizedPanel& one = panels[0];
  const std::int64_t units = 32 / one.unit;  // of a block
  const std::int64_t block_bytes = one.nibbles ? 256 : 512;
  const bool stream = rows <= kQuantizedStreamRows;
  for (std::int64_t first = 0; first < blocks; first += kChunkBlocks) {
    Chunk chunk;
    chunk.blocks = blocks - first < kChunkBlocks ? blocks - first : kChunkBlocks;
    chunk.first = first == 0;
    chunk.scales = scales;
    chunk.offsets = offsets;
    for (int p = 0; p < count; ++p) {
      expand_scales<S>(panels[p], first * units, (first + chunk.blocks) * units,
                       scales + p * kChunkFloats, offsets + p * kChunkFloats);
      chunk.codes[p] = panels[p].codes + first * block_bytes;
      if (one.nibbles && !stream) {
        unpack_nibbles<S>(chunk.codes[p], chunk.blocks, unpacked[p]);
        chunk.codes[p] = unpacked[p];
      }
    }
    RoundedRows part = x;
    part.codes += first * kBlockFeatures;
    part.scales += first;
    part.corrections += first * units;
    part.present = nullptr;  // all
    part.present_stride = 0;
    dot_panels<S>(part, rows, one, count, stream, chunk, totals);
    // The second term, of the few blocks that have one, finds the codes in the first-level cache.
    chunk.first = false;
    RoundedRows rest = part.rest();
    rest.present = x.present + first / kChunkBlocks;
    rest.present_stride = x.present_stride;
    dot_panels<S>(rest, rows, one, count, stream, chunk, totals);
  }
}

template <class S>
void multiply_quantized(const RoundedRows& x, std::int64_t rows, const QuantizedPanel* panels,
                        int count, std::int64_t blocks, float* totals) {
  if (count == 2 && (S::kTilePanels == 1 || rows <= kQuantizedStreamRows)) {
    multiply_panels<S>(x, rows, panels, 1, blocks, totals);
    multiply_panels<S>(x, rows, panels + 1, 1, blocks, totals + 16);
    return;
  }
  multiply_panels<S>(x, rows, panels, count, blocks, totals);
}

template <class S>
void dequantize_units(const QuantizedPanel& panel, std::int64_t first, std::int64_t end,
                      float* out) {
  using V = typename S::V;
  const std::int64_t loads = panel.unit / (panel.nibbles ? 8 : 4);  // of a unit
  const V middle = S::set(panel.nibbles ? 8.0F : 128.0F);
  for (std::int64_t u = first; u < end; ++u) {
    const std::int64_t group = panel.unit_groups[u];
    const V scale = unit_scale<S>(panel, group);
    const V offset = unit_offset<S>(panel, group, scale);
    for (std::int64_t i = 0; i < loads; ++i) {
      const typename S::Codes codes = S::load_codes(panel.codes + 64 * (u * loads + i));
      const auto four = [&](const typename S::Codes& bytes) {
#pragma GCC unroll 4
        for (int j = 0; j < 4; ++j, out += 16) {
          const V code = S::byte_floats(bytes, j);
          S::store_floats(out, panel.offset_kind == OffsetKind::kMiddle
                                   ? S::mul(scale, S::sub(code, middle))
                                   : S::add(S::mul(scale, code), offset));
        }
      };
      if (panel.nibbles) {
        four(S::lower(codes));
        four(S::upper(codes));
      } else {
        four(codes);
      }
    }
  }
}

inline __attribute__((always_inline)) std::int32_t correction_of(Correction kind, float scale,
                                                                 std::int32_t sum) {
  switch (kind) {
    case Correction::kMiddle8:
      return -8 * sum;
    case Correction::kMiddle128:
      return -128 * sum;
    case Correction::kScaledSum:
      break;
  }
  return __builtin_bit_cast(std::int32_t, scale * static_cast<float>(sum));
}

/// What scale * codes leave of x, as bfloat16 cut short: it has more bits than the next codes take.
inline void leave(const std::uint16_t* x, int count, float scale, const std::int8_t* codes,
                  std::uint16_t* left) {
  for (int i = 0; i < count; ++i) {
    const float value = __builtin_bit_cast(float, static_cast<std::uint32_t>(x[i]) << 16);
    const float rest = value - scale * static_cast<float>(codes[i]);
    left[i] = static_cast<std::uint16_t>(__builtin_bit_cast(std::uint32_t, rest) >> 16);
  }
}

/// One term of one block: its codes, scale and corrections.
template <class S>
inline void round_term(const std::uint16_t* x, int count, Correction correction, int unit,
                       const RoundedRows& term, std::int64_t block) {
  const std::int64_t units = 32 / unit;
  std::int32_t sums[2];
  const float scale = S::round_block(x, count, term.codes + 32 * block, sums);
  term.scales[block] = scale;
  if (unit == 32) sums[0] += sums[1];
  for (std::int64_t u = 0; u < units; ++u) {
    term.corrections[block * units + u] = correction_of(correction, scale, sums[u]);
  }
}

/// A scale like most of them: patterns of bits, as whole numbers, rise like logarithms.
inline float typical_scale(const float* scales, std::int64_t count) {
  std::int64_t sum = 0, used = 0;
  for (std::int64_t b = 0; b < count; ++b) {
    const auto bits = __builtin_bit_cast(std::int32_t, scales[b]);
    sum += bits;
    used += bits != 0;
  }
  return __builtin_bit_cast(float, static_cast<std::int32_t>(used == 0 ? 0 : sum / used));
}

template <class S>
void round_row(const std::uint16_t* x, std::int64_t features, Correction correction, int unit,
               const RoundedRows& row) {
  const std::int64_t blocks = (features + 31) / 32;
  const auto count_of = [&](std::int64_t b) {
    return features - 32 * b < 32 ? static_cast<int>(features - 32 * b) : 32;
  };
  for (std::int64_t b = 0; b < blocks; ++b) {
    round_term<S>(x + 32 * b, count_of(b), correction, unit, row, b);
  }
  const float large = kCoarseBlock * typical_scale(row.scales, blocks);
  const RoundedRows rest = row.rest();
  for (std::int64_t b = 0; b < blocks; ++b) {
    std::uint16_t& present = row.present[b / kChunkBlocks];
    if (b % kChunkBlocks == 0) present = 0;
    if (row.scales[b] > large) {
      present = static_cast<std::uint16_t>(present | 1U << (b % kChunkBlocks));
      std::uint16_t left[32] = {};
      leave(x + 32 * b, count_of(b), row.scales[b], row.codes + 32 * b, left);
      round_term<S>(left, 32, correction, unit, rest, b);
      continue;
    }
    // Zeros: the product may run over this block for another row's sake.
    __builtin_memset(rest.codes + 32 * b, 0, 32);
    rest.scales[b] = 0;
    for (std::int64_t u = 0; u < 32 / unit; ++u) rest.corrections[b * (32 / unit) + u] = 0;
  }
}

template <class S>
constexpr QuantizedKernels make_quantized_kernels() {
  return {round_row<S>, multiply_quantized<S>, dequantize_units<S>};
}
