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

/// Cuts rows x panels into units of like work. Few rows: long runs of panels, read as one stream.
/// Many rows: groups of panels that stay in the second-level cache while the rows go by, and, where
/// there are more threads than groups, parts of the rows.
class Partition {
 public:
  Partition(std::int64_t rows, std::int64_t panels, std::int64_t threads)
      : rows_(rows), panels_(panels) {
    if (rows <= kStreamRows) {
      unit_rows_ = std::max<std::int64_t>(rows, 1);
      unit_panels_ = std::clamp<std::int64_t>(panels / (threads * 4), 1, 16);
    } else {
      unit_panels_ = kGroupPanels;
      const std::int64_t groups = (panels + unit_panels_ - 1) / unit_panels_;
      const std::int64_t parts = std::max<std::int64_t>(1, (2 * threads + groups - 1) / groups);
      unit_rows_ = (rows + parts - 1) / parts;
      unit_rows_ = (unit_rows_ + kBlockRows - 1) / kBlockRows * kBlockRows;
    }
    row_units_ = rows == 0 ? 0 : (rows + unit_rows_ - 1) / unit_rows_;
    panel_units_ = (panels + unit_panels_ - 1) / unit_panels_;
  }

  std::int64_t units() const { return row_units_ * panel_units_; }

  ProductTile tile(std::int64_t unit) const {
    const std::int64_t panel = unit / row_units_ * unit_panels_;
    const std::int64_t row = unit % row_units_ * unit_rows_;
    return {row, std::min(rows_, row + unit_rows_), panel, std::min(panels_, panel + unit_panels_)};
  }

 private:
  std::int64_t rows_, panels_;
  std::int64_t unit_rows_, unit_panels_;
  std::int64_t row_units_, panel_units_;
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

  /// The sums of a group of at most kGroupPanels panels for at most kBlockRows rows.
  void sums(const void* x, std::int64_t x_words, std::int64_t row, std::int64_t rows,
            std::int64_t first_panel, std::int64_t panels, float* out) const {
    kernels->multiply(static_cast<const char*>(x) + row * x_words * 4, x_words, rows,
                      panel(first_panel), words, panels, out, kSumStride);
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
