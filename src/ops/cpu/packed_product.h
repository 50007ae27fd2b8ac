#pragma once

#include <algorithm>
#include <cstdint>

#include "ops/cpu/linear_kernels.h"

/// How a product with a packed weight is cut into units for threads and blocks for caches.
namespace tigerbot::cpu {

/// Rows are divided at multiples of this, which all tiles divide.
inline constexpr std::int64_t kTileRows = 24;

/// Rows [row, row_end) times panels [panel, panel_end).
struct ProductTile {
  std::int64_t row, row_end;
  std::int64_t panel, panel_end;
};

/// Cuts rows x panels into units of like work. Few rows: runs of panels, each read as one stream.
/// Many rows: groups of panels, each multiplied with a part of the rows.
class Partition {
 public:
  Partition(std::int64_t rows, std::int64_t panels, std::int64_t threads)
      : rows_(rows), panels_(panels), streams_(rows <= kStreamRows) {
    if (streams_) {
      panel_units_ = std::min(panels, 4 * threads);
      return;
    }
    panel_units_ = (panels + kGroupPanels - 1) / kGroupPanels;
    const std::int64_t parts =
        std::clamp<std::int64_t>((8 * threads + panel_units_ - 1) / panel_units_, 1, 8);
    unit_rows_ = ((rows + parts - 1) / parts + kTileRows - 1) / kTileRows * kTileRows;
    row_units_ = (rows + unit_rows_ - 1) / unit_rows_;
  }

  std::int64_t units() const { return rows_ == 0 ? 0 : row_units_ * panel_units_; }

  ProductTile tile(std::int64_t unit) const {
    if (streams_) {
      return {0, rows_, unit * panels_ / panel_units_, (unit + 1) * panels_ / panel_units_};
    }
    const std::int64_t panel = unit / row_units_ * kGroupPanels;
    const std::int64_t row = unit % row_units_ * unit_rows_;
    return {row, std::min(rows_, row + unit_rows_), panel, std::min(panels_, panel + kGroupPanels)};
  }

 private:
  std::int64_t rows_, panels_;
  bool streams_;
  std::int64_t unit_rows_ = 0;
  std::int64_t row_units_ = 1;
  std::int64_t panel_units_ = 1;
};

struct PackedProduct {
  const LinearKernels* kernels;
  const char* weight;
  std::int64_t words;    ///< of a row
  std::int64_t columns;  ///< output features
  std::int64_t element_bytes;

  /// One tile of x weight^T. x rows are x_words words apart; `output` is that of the whole product.
  void run(const void* x, std::int64_t x_words, const ProductTile& tile,
           const ProductOutput& output) const {
    const std::int64_t rows = tile.row_end - tile.row;
    const std::int64_t step = rows <= kStreamRows ? 1 : kGroupPanels;
    const PanelLayout layout{64, 64 * words};
    for (std::int64_t p = tile.panel; p < tile.panel_end; p += step) {
      const ProductOutput part = at(output, tile.row, p * kPanelColumns);
      kernels->multiply(row_of(x, x_words, tile.row), x_words, rows,
                        weight + p * layout.panel_bytes, layout, words,
                        std::min(step, tile.panel_end - p), part);
    }
  }

  /// One tile of silu(gate) * up, where the words of a panel of gates and of the panel of `up` with
  /// the same columns stand in turn: two panels in one stream.
  void run_swiglu(const void* x, std::int64_t x_words, const ProductTile& tile,
                  const ProductOutput& output) const {
    const PanelLayout layout{128, 64};
    for (std::int64_t p = tile.panel; p < tile.panel_end; ++p) {
      const ProductOutput part = at(output, tile.row, p * kPanelColumns);
      kernels->multiply(row_of(x, x_words, tile.row), x_words, tile.row_end - tile.row,
                        weight + p * 128 * words, layout, words, 2, part);
    }
  }

 private:
  static const char* row_of(const void* x, std::int64_t x_words, std::int64_t row) {
    return static_cast<const char*>(x) + row * x_words * 4;
  }

  /// The output from this row and column on.
  ProductOutput at(const ProductOutput& output, std::int64_t row, std::int64_t column) const {
    ProductOutput part = output;
    part.out = static_cast<char*>(output.out) + (row * output.stride + column) * element_bytes;
    part.columns = columns - column;
    if (part.bias != nullptr) part.bias += column;
    if (part.up_bias != nullptr) part.up_bias += column;
    return part;
  }
};

}  // namespace tigerbot::cpu
