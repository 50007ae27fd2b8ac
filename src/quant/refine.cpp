#include "quant/refine.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/zeros.h>

#include "quant/solver.h"

namespace tigerbot::quant {
namespace {

/// One row's group, and its part of the gradient H e, kept up to date while it changes.
struct GroupOfRow {
  const float* hessian;  ///< the first row of the group's own block
  std::int64_t stride;   ///< from one row of the Hessian to the next
  std::int64_t size;
  int bits;
  std::uint8_t* codes;
  float* gradient;
  float* moved;  ///< how far each point has moved
  float* scratch;

  void move(std::int64_t j, float distance) const {
    moved[j] += distance;
    const float* row = hessian + j * stride;
    for (std::int64_t k = 0; k < size; ++k) gradient[k] -= distance * row[k];
  }

  void move_codes(const Grid& grid) const {
    for (std::int64_t j = 0; j < size; ++j) {
      const float point = grid.value(codes[j]);
      const int code = grid.code(point + gradient[j] / hessian[j * stride + j], bits);
      if (code == codes[j]) continue;
      move(j, grid.value(code) - point);
      codes[j] = static_cast<std::uint8_t>(code);
    }
  }

  /// The scale by least squares, the codes as they are.
  float fit_scale(const Grid& grid) const {
    for (std::int64_t k = 0; k < size; ++k) scratch[k] = 0;
    float slope = 0;
    for (std::int64_t j = 0; j < size; ++j) {
      const auto step = static_cast<float>(codes[j] - grid.zero);
      slope += step * gradient[j];
      const float* row = hessian + j * stride;
      for (std::int64_t k = 0; k < size; ++k) scratch[k] += step * row[k];
    }
    float curvature = 0;
    for (std::int64_t j = 0; j < size; ++j) {
      curvature += static_cast<float>(codes[j] - grid.zero) * scratch[j];
    }
    if (!(curvature > 0)) return grid.scale;
    const auto scale = static_cast<float>(at::Half(grid.scale + slope / curvature));
    const float change = scale - grid.scale;
    // Rounding to float16 may take away what was won; a scale of 0 would end all later moves.
    if (!(change * (2 * slope - change * curvature) > 0) || !(std::abs(scale) > 1e-7F)) {
      return grid.scale;
    }
    for (std::int64_t j = 0; j < size; ++j) {
      moved[j] += change * static_cast<float>(codes[j] - grid.zero);
      gradient[j] -= change * scratch[j];
    }
    return scale;
  }
};

}  // namespace

void refine_rows(const at::Tensor& weights, const at::Tensor& hessian,
                 const std::vector<std::int64_t>& group_ids, int passes, std::int64_t first,
                 const ops::QuantizedParts& parts) {
  const std::int64_t rows = weights.size(0);
  const std::int64_t in = weights.size(1);
  const std::int64_t out = parts.codes.size(0);
  const auto groups = static_cast<std::int64_t>(group_ids.size());
  const std::int64_t size = in / groups;
  auto* codes = parts.codes.mutable_data_ptr<std::uint8_t>() + first * in;
  auto* scales = parts.scales.mutable_data_ptr<at::Half>();
  const auto* zeros = parts.zeros.const_data_ptr<std::int16_t>();
  const auto place = [&](std::int64_t run, std::int64_t r) {
    return group_ids[static_cast<std::size_t>(run)] * out + first + r;
  };
  const auto grid_of = [&](std::int64_t run, std::int64_t r) {
    return Grid{static_cast<float>(scales[place(run, r)]), zeros[place(run, r)]};
  };
  at::Tensor error = weights.clone();
  for (std::int64_t r = 0; r < rows; ++r) {
    auto* e = error.mutable_data_ptr<float>() + r * in;
    for (std::int64_t j = 0; j < in; ++j) e[j] -= grid_of(j / size, r).value(codes[r * in + j]);
  }
  const at::Tensor gradient = at::matmul(error, hessian);
  at::Tensor moved = at::empty({rows, size}, at::kFloat);
  std::vector<float> scratch(static_cast<std::size_t>(size));
  for (int pass = 0; pass < passes; ++pass) {
    for (std::int64_t run = 0; run < groups; ++run) {
      moved.zero_();
      const std::int64_t begin = run * size;
      // The group's own columns change at once, all others by one product at its end.
      const at::Tensor own = gradient.narrow(1, begin, size).clone();
      for (std::int64_t r = 0; r < rows; ++r) {
        const GroupOfRow group{hessian.const_data_ptr<float>() + begin * in + begin,
                               in,
                               size,
                               parts.bits,
                               codes + r * in + begin,
                               own.mutable_data_ptr<float>() + r * size,
                               moved.mutable_data_ptr<float>() + r * size,
                               scratch.data()};
        const Grid grid = grid_of(run, r);
        group.move_codes(grid);
        scales[place(run, r)] = group.fit_scale(grid);
      }
      gradient.sub_(at::matmul(moved, hessian.narrow(0, begin, size)));
    }
  }
}

}  // namespace tigerbot::quant
