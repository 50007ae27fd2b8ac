#include "quant/solver.h"

#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/argsort.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/eye.h>
#include <ATen/ops/flip.h>
#include <ATen/ops/isfinite.h>
#include <ATen/ops/linalg_cholesky_ex.h>
#include <ATen/ops/linalg_solve_triangular.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/ones_like.h>
#include <ATen/ops/where.h>

#include <algorithm>
#include <numeric>
#include <tuple>
#include <utility>
#include <vector>

#include "base/error.h"
#include "ops/cpu/threads.h"
#include "quant/refine.h"

namespace tigerbot::quant {
namespace {

/// Columns whose errors are carried into the rest of the row in one product (the paper's lazy
/// batch updates), and rows that one thread works on at a time.
constexpr std::int64_t kBlock = 128;
constexpr std::int64_t kRows = 64;

/// One thread while it lives: LAPACK's sums depend on how many there are.
class OneThread {
 public:
  OneThread() : threads_(at::get_num_threads()) { at::set_num_threads(1); }
  ~OneThread() { at::set_num_threads(threads_); }
  OneThread(const OneThread&) = delete;
  OneThread& operator=(const OneThread&) = delete;

 private:
  int threads_;
};

/// fn(unit) on all threads; ATen's products inside stay on one thread each, however many units.
template <class Function>
void for_row_units(std::int64_t units, const Function& fn) {
  if (units > 1) return cpu::for_units(units, fn);
  const OneThread one_thread;
  for (std::int64_t unit = 0; unit < units; ++unit) fn(unit);
}

at::Tensor checked_weight(const at::Tensor& weight, const std::string& name) {
  at::Tensor wide = weight.to(at::kFloat).contiguous();
  if (!at::isfinite(wide).all().item<bool>()) {
    fail("{}: the weight holds an infinity or NaN; the model is damaged", name);
  }
  if (wide.numel() > 0 && wide.abs().max().item<float>() > 65504.0F) {
    fail("{}: weights above 65504 are past the range of float16 scales", name);
  }
  return wide;
}

std::int64_t group_count(const GridOptions& options, std::int64_t in) {
  return options.group_size == -1 ? 1 : in / options.group_size;
}

ops::QuantizedParts empty_parts(const GridOptions& options, std::int64_t out, std::int64_t in) {
  const std::int64_t groups = group_count(options, in);
  ops::QuantizedParts parts;
  parts.bits = options.bits;
  parts.codes = at::empty({out, in}, at::kByte);
  parts.scales = at::empty({groups, out}, at::kHalf);
  parts.zeros = at::empty({groups, out}, at::kShort);
  parts.group_of = at::arange(in, at::kInt).div(in / groups, "floor").to(at::kInt);
  return parts;
}

/// Where one row's results go.
struct RowWriter {
  const ops::QuantizedParts& parts;
  std::int64_t row;
  std::int64_t out = parts.codes.size(0);
  std::uint8_t* codes = parts.codes.mutable_data_ptr<std::uint8_t>() + row * parts.codes.size(1);

  void put(std::int64_t group, const Grid& grid) const {
    parts.scales.mutable_data_ptr<at::Half>()[group * out + row] = grid.scale;
    parts.zeros.mutable_data_ptr<std::int16_t>()[group * out + row] =
        static_cast<std::int16_t>(grid.zero);
  }
};

/// The upper triangle U with U^T U = (hessian + damping)^-1, whose row j says how the columns after
/// j make good for an error in column j. With H = R R^T, R upper, U is R's inverse: one Cholesky
/// decomposition from the last column up, and no inverse of H itself.
/// Beside U, the damped Hessian.
std::pair<at::Tensor, at::Tensor> inverse_factor(const at::Tensor& hessian, double damping,
                                                 const std::string& name) {
  const OneThread one_thread;
  const at::Tensor unit = at::eye(hessian.size(0), at::kDouble);
  const at::Tensor mean = hessian.diagonal().mean();
  for (double share = damping; share <= 1.0; share = std::max(10 * share, 1e-4)) {
    const at::Tensor damped = hessian + unit * (mean * share);
    const at::Tensor flipped = at::flip(damped, {0, 1});
    const auto [lower, info] = at::linalg_cholesky_ex(flipped);
    if (info.item<int>() != 0 || !at::isfinite(lower).all().item<bool>()) continue;
    const at::Tensor factor =
        at::linalg_solve_triangular(at::flip(lower, {0, 1}), unit, /*upper=*/true);
    return {factor.to(at::kFloat).contiguous(), damped};
  }
  fail("{}: the activations of the calibration set are degenerate; give more or other text", name);
}

/// What a whole layer shares: the columns in the order in which they are rounded.
struct Columns {
  at::Tensor order;                     ///< int64 [in]: the feature at each place
  std::vector<std::int64_t> group_ids;  ///< which of the file's groups each run of places is
  at::Tensor group_of;                  ///< int32 [in]: the group of each feature
};

Columns order_columns(const at::Tensor& diagonal, const GptqOptions& options) {
  const std::int64_t in = diagonal.size(0);
  const std::int64_t groups = group_count(options.grid, in);
  Columns columns;
  columns.order = at::arange(in, at::kLong);
  columns.group_of = at::arange(in, at::kInt).div(in / groups, "floor").to(at::kInt);
  columns.group_ids.resize(static_cast<std::size_t>(groups));
  std::iota(columns.group_ids.begin(), columns.group_ids.end(), 0);
  const auto descending = [](const at::Tensor& sizes) {
    return at::argsort(sizes, /*stable=*/true, /*dim=*/-1, /*descending=*/true);
  };
  if (options.order == ColumnOrder::kActivations) {
    columns.order = descending(diagonal);
    columns.group_of = columns.group_of.index_select(0, at::argsort(columns.order));
  } else if (options.order == ColumnOrder::kGroups) {
    const at::Tensor sizes = diagonal.reshape({groups, in / groups});
    const at::Tensor group_order = descending(std::get<0>(sizes.max(1)));
    const at::Tensor within = descending(sizes).index_select(0, group_order);
    columns.order = (within + group_order.unsqueeze(1) * (in / groups)).reshape({in});
    std::copy_n(group_order.const_data_ptr<std::int64_t>(), groups, columns.group_ids.begin());
  }
  return columns;
}

/// Quantizes rows [first, first + rows.size(0)) of weight in place, column after column. Codes are
/// written in the columns' order.
void solve_rows(const at::Tensor& rows, const at::Tensor& factor, const GptqOptions& gptq,
                const Columns& columns, std::int64_t first, const ops::QuantizedParts& parts) {
  const GridOptions& options = gptq.grid;
  const std::int64_t count = rows.size(0);
  const std::int64_t in = rows.size(1);
  const std::int64_t group_size = in / group_count(options, in);
  const bool search = gptq.search_grid && options.bits <= 4;
  // What an error in each column costs once the columns after it have made good for it.
  const at::Tensor importance = factor.diagonal().square().reciprocal().contiguous();
  auto* weight = rows.mutable_data_ptr<float>();
  const auto* u = factor.const_data_ptr<float>();
  at::Tensor errors = at::empty({count, kBlock}, at::kFloat);
  std::vector<Grid> grids(static_cast<std::size_t>(count));
  for (std::int64_t begin = 0; begin < in; begin += kBlock) {
    const std::int64_t end = std::min(begin + kBlock, in);
    for (std::int64_t r = 0; r < count; ++r) {
      const RowWriter writer{parts, first + r};
      float* w = weight + r * in;
      float* e = errors.mutable_data_ptr<float>() + r * kBlock;
      Grid& grid = grids[static_cast<std::size_t>(r)];
      for (std::int64_t j = begin; j < end; ++j) {
        if (j % group_size == 0) {
          grid = search ? Grid::search(w + j, importance.const_data_ptr<float>() + j, group_size,
                                       options.bits, options.symmetric)
                        : Grid::of(w + j, group_size, options.bits, options.symmetric);
          writer.put(columns.group_ids[static_cast<std::size_t>(j / group_size)], grid);
        }
        const int code = grid.code(w[j], options.bits);
        writer.codes[j] = static_cast<std::uint8_t>(code);
        const float* row = u + j * in;
        const float error = (w[j] - grid.value(code)) / row[j];
        for (std::int64_t k = j + 1; k < end; ++k) w[k] -= error * row[k];
        e[j - begin] = error;
      }
    }
    if (end < in) {
      const at::Tensor carried =
          at::matmul(errors.narrow(1, 0, end - begin),
                     factor.narrow(0, begin, end - begin).narrow(1, end, in - end));
      rows.narrow(1, end, in - end).sub_(carried);
    }
  }
}

}  // namespace

ops::QuantizedParts round_to_nearest(const at::Tensor& weight, const GridOptions& options,
                                     const std::string& name) {
  check_grid(options);
  check_width(options, name, weight.size(1));
  const at::Tensor wide = checked_weight(weight, name);
  const std::int64_t in = wide.size(1);
  ops::QuantizedParts parts = empty_parts(options, wide.size(0), in);
  const std::int64_t group_size = in / parts.scales.size(0);
  cpu::for_units(wide.size(0), [&](std::int64_t r) {
    const RowWriter writer{parts, r};
    const float* w = wide.const_data_ptr<float>() + r * in;
    for (std::int64_t first = 0; first < in; first += group_size) {
      const Grid grid = Grid::of(w + first, group_size, options.bits, options.symmetric);
      writer.put(first / group_size, grid);
      for (std::int64_t j = first; j < first + group_size; ++j) {
        writer.codes[j] = static_cast<std::uint8_t>(grid.code(w[j], options.bits));
      }
    }
  });
  return parts;
}

ops::QuantizedParts solve_gptq(const at::Tensor& weight, const at::Tensor& hessian,
                               const GptqOptions& options, const std::string& name) {
  const at::NoGradGuard no_grad;
  check_grid(options.grid);
  check_width(options.grid, name, weight.size(1));
  if (!(options.damping >= 0 && options.damping <= 1)) {
    fail("--damping {}: must be from 0 to 1", options.damping);
  }
  at::Tensor wide = checked_weight(weight, name);
  if (wide.is_same(weight) || wide.is_alias_of(weight)) wide = wide.clone();
  if (!at::isfinite(hessian).all().item<bool>()) {
    fail("{}: its activations on the calibration set hold an infinity or NaN", name);
  }
  // A feature that was never active has no say: its weights are rounded by themselves.
  at::Tensor curvature = hessian.clone();
  at::Tensor diagonal = curvature.diagonal();
  diagonal.copy_(at::where(diagonal > 0, diagonal, at::ones_like(diagonal)));

  ops::QuantizedParts parts = empty_parts(options.grid, wide.size(0), wide.size(1));
  const Columns columns = order_columns(diagonal, options);
  parts.group_of = columns.group_of;
  wide = wide.index_select(1, columns.order);
  curvature = curvature.index_select(0, columns.order).index_select(1, columns.order);
  const auto [factor, damped] = inverse_factor(curvature, options.damping, name);
  const at::Tensor original = options.refinements > 0 ? wide.clone() : at::Tensor();
  const at::Tensor narrow_curvature = damped.to(at::kFloat);
  const std::int64_t units = (wide.size(0) + kRows - 1) / kRows;
  const auto solve = [&](std::int64_t unit) {
    const at::NoGradGuard none;
    const std::int64_t first = unit * kRows;
    const std::int64_t count = std::min(kRows, wide.size(0) - first);
    solve_rows(wide.narrow(0, first, count), factor, options, columns, first, parts);
    if (options.refinements > 0) {
      refine_rows(original.narrow(0, first, count), narrow_curvature, columns.group_ids,
                  options.refinements, first, parts);
    }
  };
  for_row_units(units, solve);
  parts.codes = parts.codes.index_select(1, at::argsort(columns.order));
  return parts;
}

double relative_error(const at::Tensor& weight, const at::Tensor& quantized,
                      const at::Tensor& hessian) {
  const auto energy = [&](const at::Tensor& rows) {
    const std::int64_t units = (rows.size(0) + kRows - 1) / kRows;
    std::vector<double> parts(static_cast<std::size_t>(units));
    const auto measure = [&](std::int64_t unit) {
      const at::NoGradGuard none;
      const std::int64_t first = unit * kRows;
      const at::Tensor some = rows.narrow(0, first, std::min(kRows, rows.size(0) - first));
      parts[static_cast<std::size_t>(unit)] =
          (at::matmul(some, hessian) * some).sum().item<double>();
    };
    for_row_units(units, measure);
    return std::accumulate(parts.begin(), parts.end(), 0.0);
  };
  const at::Tensor whole = weight.to(at::kDouble);
  const double total = energy(whole);
  const double lost = energy(whole - quantized.to(at::kDouble));
  return total > 0 ? std::max(lost, 0.0) / total : 0.0;
}

}  // namespace tigerbot::quant
