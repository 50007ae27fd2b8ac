#pragma once

#include <ATen/core/Tensor.h>

#include <algorithm>
#include <bit>
#include <cstdint>

#include "ops/cpu/linear_kernels.h"
#include "ops/cpu/packed_product.h"
#include "ops/cpu/quantized_kernels.h"
#include "ops/quantized_weight.h"

/// How products with quantized weights are cut into units for threads and blocks for caches.
namespace tigerbot::ops {

/// The bits of the bfloat16 nearest to a finite number.
inline std::uint16_t nearest_bfloat16(float value) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  return static_cast<std::uint16_t>((bits + 0x7fff + ((bits >> 16) & 1)) >> 16);
}

/// Memory for both terms of `rows` rounded rows of a form, in one buffer of bytes() bytes, from a
/// cache line on.
class RoundedBuffer {
 public:
  RoundedBuffer(const InputForm& form, std::int64_t rows)
      : code_bytes_(form.blocks * cpu::kBlockFeatures),
        scale_count_(round_up(form.blocks)),
        correction_count_(round_up(form.units())),
        chunks_((form.blocks + cpu::kChunkBlocks - 1) / cpu::kChunkBlocks),
        rows_(rows) {}

  std::int64_t bytes() const { return 2 * term_bytes() + (rows_ * chunks_ * 2 + 63) / 64 * 64; }

  cpu::RoundedRows place(std::byte* memory) const {
    cpu::RoundedRows rows;
    rows.codes = reinterpret_cast<std::int8_t*>(memory);
    rows.scales = reinterpret_cast<float*>(memory + rows_ * code_bytes_);
    rows.corrections =
        reinterpret_cast<std::int32_t*>(memory + rows_ * code_bytes_) + rows_ * scale_count_;
    rows.code_stride = code_bytes_;
    rows.scale_stride = scale_count_;
    rows.correction_stride = correction_count_;
    rows.rest_bytes = term_bytes();
    rows.present = reinterpret_cast<std::uint16_t*>(memory + 2 * term_bytes());
    rows.present_stride = chunks_;
    return rows;
  }

 private:
  std::int64_t term_bytes() const {
    return (rows_ * (code_bytes_ + 4 * (scale_count_ + correction_count_)) + 63) / 64 * 64;
  }
  static std::int64_t round_up(std::int64_t n) { return (n + 7) / 8 * 8; }

  std::int64_t code_bytes_, scale_count_, correction_count_, chunks_, rows_;
};

/// Cuts rows x panels into units of like work: runs of panels for few rows, else pairs of panels
/// times a part of the rows.
class QuantizedPartition {
 public:
  /// `units`: how many runs of panels there are to be for few rows.
  QuantizedPartition(std::int64_t rows, std::int64_t panels, std::int64_t threads,
                     std::int64_t units)
      : rows_(rows), panels_(panels), streams_(rows <= cpu::kQuantizedStreamRows) {
    if (streams_) {
      panel_units_ = std::clamp<std::int64_t>(units, 1, std::max<std::int64_t>(1, panels));
      return;
    }
    panel_units_ = (panels + 1) / 2;
    const std::int64_t parts =
        std::clamp<std::int64_t>((8 * threads + panel_units_ - 1) / panel_units_, 1, 8);
    unit_rows_ =
        ((rows + parts - 1) / parts + cpu::kTileRows - 1) / cpu::kTileRows * cpu::kTileRows;
    row_units_ = (rows + unit_rows_ - 1) / unit_rows_;
  }

  std::int64_t units() const { return rows_ == 0 ? 0 : row_units_ * panel_units_; }

  cpu::ProductTile tile(std::int64_t unit) const {
    if (streams_) {
      return {0, rows_, unit * panels_ / panel_units_, (unit + 1) * panels_ / panel_units_};
    }
    const std::int64_t panel = unit / row_units_ * 2;
    const std::int64_t row = unit % row_units_ * unit_rows_;
    return {row, std::min(rows_, row + unit_rows_), panel, std::min(panels_, panel + 2)};
  }

 private:
  std::int64_t rows_, panels_;
  bool streams_;
  std::int64_t unit_rows_ = 0;
  std::int64_t row_units_ = 1;
  std::int64_t panel_units_ = 1;
};

/// What a product writes, whole: parts of it are found by row and column.
struct WholeOutput {
  cpu::ProductOutput output;
  std::int64_t columns = 0;
  std::int64_t element_bytes = 2;
  const cpu::LinearKernels* kernels = nullptr;  ///< that finish

  cpu::ProductOutput at(std::int64_t row, std::int64_t column) const {
    cpu::ProductOutput part = output;
    part.out = static_cast<char*>(output.out) + (row * output.stride + column) * element_bytes;
    part.columns = columns - column;
    if (part.bias != nullptr) part.bias += column;
    if (part.up_bias != nullptr) part.up_bias += column;
    return part;
  }
};

/// One tile of x weight^T, x being the whole product's rounded rows.
void multiply_tile(const QuantizedWeight& weight, const cpu::RoundedRows& x,
                   const cpu::ProductTile& tile, const WholeOutput& output);

/// One tile of silu(x gate^T) * (x up^T); the two may ask for different forms of x.
void multiply_swiglu_tile(const QuantizedWeight& gate, const cpu::RoundedRows& gate_x,
                          const QuantizedWeight& up, const cpu::RoundedRows& up_x,
                          const cpu::ProductTile& tile, const WholeOutput& output);

}  // namespace tigerbot::ops
