#include "ops/quantized_product.h"

namespace tigerbot::ops {
namespace {

using cpu::kPanelColumns;

/// Whether a kernel may take both at once.
bool alike(const cpu::QuantizedPanel& a, const cpu::QuantizedPanel& b) {
  return a.offset_kind == b.offset_kind && a.unit == b.unit && a.nibbles == b.nibbles;
}

}  // namespace

void multiply_tile(const QuantizedWeight& weight, const cpu::RoundedRows& x,
                   const cpu::ProductTile& tile, const WholeOutput& output) {
  const cpu::QuantizedKernels& kernels = cpu::quantized_kernels();
  alignas(64) float totals[cpu::kQuantizedRows * 32];
  for (std::int64_t p = tile.panel; p < tile.panel_end; p += 2) {
    const int count = p + 1 < tile.panel_end ? 2 : 1;
    const cpu::QuantizedPanel panels[2] = {weight.panel(p), weight.panel(p + count - 1)};
    for (std::int64_t row = tile.row; row < tile.row_end; row += cpu::kQuantizedRows) {
      const std::int64_t rows = std::min(cpu::kQuantizedRows, tile.row_end - row);
      kernels.multiply(x.from(row), rows, panels, count, weight.blocks(), totals);
      for (int i = 0; i < count; ++i) {
        output.kernels->finish(totals + 16 * i, rows, output.at(row, (p + i) * kPanelColumns));
      }
    }
  }
}

void multiply_swiglu_tile(const QuantizedWeight& gate, const cpu::RoundedRows& gate_x,
                          const QuantizedWeight& up, const cpu::RoundedRows& up_x,
                          const cpu::ProductTile& tile, const WholeOutput& output) {
  const cpu::QuantizedKernels& kernels = cpu::quantized_kernels();
  alignas(64) float totals[cpu::kQuantizedRows * 32];
  for (std::int64_t p = tile.panel; p < tile.panel_end; ++p) {
    const cpu::QuantizedPanel panels[2] = {gate.panel(p), up.panel(p)};
    const bool together = alike(panels[0], panels[1]) && gate_x.codes == up_x.codes;
    for (std::int64_t row = tile.row; row < tile.row_end; row += cpu::kQuantizedRows) {
      const std::int64_t rows = std::min(cpu::kQuantizedRows, tile.row_end - row);
      if (together) {
        kernels.multiply(gate_x.from(row), rows, panels, 2, gate.blocks(), totals);
      } else {
        kernels.multiply(gate_x.from(row), rows, panels, 1, gate.blocks(), totals);
        kernels.multiply(up_x.from(row), rows, panels + 1, 1, up.blocks(), totals + 16);
      }
      output.kernels->finish(totals, rows, output.at(row, p * kPanelColumns));
    }
  }
}

}  // namespace tigerbot::ops
