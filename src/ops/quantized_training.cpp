#include "ops/quantized_training.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/zeros.h>

#include <algorithm>

#include "ops/ops.h"

namespace tigerbot::ops {

std::int64_t rows_at_once(const QuantizedWeight& weight) {
  constexpr std::int64_t kElements = std::int64_t{1} << 25;
  const std::int64_t all = weight.out_features();
  const std::int64_t rows = kElements / std::max<std::int64_t>(1, weight.in_features());
  return rows >= all ? all : std::min(all, std::max<std::int64_t>(512, rows / 16 * 16));
}

at::Tensor training_product(const at::Tensor& x, const QuantizedWeight& weight,
                            const at::Tensor& bias, std::int64_t rows_at_once) {
  const std::int64_t all = weight.out_features();
  if (rows_at_once >= all) return ops::linear(x, weight.dequantize(x.scalar_type()), bias);
  at::Tensor out = at::empty({x.size(0), all}, x.options());
  for (std::int64_t first = 0; first < all; first += rows_at_once) {
    const std::int64_t rows = std::min(rows_at_once, all - first);
    const at::Tensor part = weight.dequantize_rows(first, rows, x.scalar_type());
    out.narrow(1, first, rows)
        .copy_(ops::linear(x, part, bias.defined() ? bias.narrow(0, first, rows) : bias));
  }
  return out;
}

at::Tensor input_gradient(const at::Tensor& dy, const QuantizedWeight& weight,
                          std::int64_t rows_at_once) {
  const std::int64_t all = weight.out_features();
  if (rows_at_once >= all) return at::matmul(dy, weight.dequantize(dy.scalar_type()));
  at::Tensor dx = at::zeros({dy.size(0), weight.in_features()}, dy.options().dtype(at::kFloat));
  for (std::int64_t first = 0; first < all; first += rows_at_once) {
    const std::int64_t rows = std::min(rows_at_once, all - first);
    dx += at::matmul(dy.narrow(1, first, rows),
                     weight.dequantize_rows(first, rows, dy.scalar_type()));
  }
  return dx.to(dy.scalar_type());
}

}  // namespace tigerbot::ops
