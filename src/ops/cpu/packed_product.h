#pragma once

#include <algorithm>
#include <cstdint>

#include "ops/cpu/linear_kernels.h"

/// How a product with a packed weight is cut into units for threads and blocks for caches.
namespace tigerbot::cpu {

/// Floats between rows of a block's sums.
inline constexpr std::int64_t kSumStride = kGroupPanels * kPanelColumns;

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
    unit_rows_ = ((rows + parts - 1) / parts + kBlockRows - 1) / kBlockRows * kBlockRows;
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

/// The sums of a block of rows and a group of panels, kSumStride apart.
struct SumBlock {
  const float* sums;
  std::int64_t first_row, rows;
  std::int64_t first_column, columns;
};

struct PackedProduct {
  const LinearKernels* kernels;
  const char* weight;
  std::int64_t words;    ///< of a row
  std::int64_t columns;  ///< output features

  const char* panel(std::int64_t index) const { return weight + index * words * 64; }

  /// The sums of at most kGroupPanels panels for at most kBlockRows rows, `stride` apart.
  void sums(const void* x, std::int64_t x_words, std::int64_t row, std::int64_t rows,
            std::int64_t first_panel, std::int64_t panels, float* out,
            std::int64_t stride = kSumStride) const {
    kernels->multiply(static_cast<const char*>(x) + row * x_words * 4, x_words, rows,
                      panel(first_panel), words, panels, out, stride);
  }

  /// Calls store(SumBlock) for every block of the tile. x rows are x_words words apart.
  template <class Store>
  void run(const void* x, std::int64_t x_words, const ProductTile& tile, const Store& store) const {
    alignas(64) float out[kBlockRows * kSumStride];
    const std::int64_t step = tile.row_end - tile.row <= kStreamRows ? 1 : kGroupPanels;
    for (std::int64_t p = tile.panel; p < tile.panel_end; p += step) {
      const std::int64_t group = std::min(step, tile.panel_end - p);
      const std::int64_t column = p * kPanelColumns;
      for (std::int64_t row = tile.row; row < tile.row_end; row += kBlockRows) {
        const std::int64_t rows = std::min(kBlockRows, tile.row_end - row);
        sums(x, x_words, row, rows, p, group, out);
        store(SumBlock{out, row, rows, column, std::min(group * kPanelColumns, columns - column)});
      }
    }
  }
};

}  // namespace tigerbot::cpu
