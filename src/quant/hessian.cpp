#include "quant/hessian.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "base/error.h"
#include "ops/cpu/threads.h"

namespace tigerbot::quant {
namespace {

/// Features of a tile's side. Each tile is one thread's, so that its sums do not depend on how
/// many threads there are.
constexpr std::int64_t kTile = 192;

}  // namespace

Hessian::Hessian(std::int64_t in_features)
    : sum_(at::zeros({in_features, in_features}, at::kDouble)) {}

void Hessian::add(const at::Tensor& x) {
  const at::NoGradGuard no_grad;
  const std::int64_t in = sum_.size(0);
  if (x.dim() != 2 || x.size(1) != in) {
    fail_internal("activations have another width than the layer, {}", in);
  }
  const at::Tensor wide = x.to(at::kFloat);
  const std::int64_t tiles = (in + kTile - 1) / kTile;
  std::vector<std::pair<std::int64_t, std::int64_t>> upper;
  for (std::int64_t i = 0; i < tiles; ++i) {
    for (std::int64_t j = i; j < tiles; ++j) upper.emplace_back(i * kTile, j * kTile);
  }
  const auto width = [in](std::int64_t first) { return std::min(kTile, in - first); };
  cpu::for_units(static_cast<std::int64_t>(upper.size()), [&](std::int64_t unit) {
    const at::NoGradGuard none;
    const std::int64_t i = upper[static_cast<std::size_t>(unit)].first;
    const std::int64_t j = upper[static_cast<std::size_t>(unit)].second;
    const at::Tensor product =
        at::matmul(wide.narrow(1, i, width(i)).t(), wide.narrow(1, j, width(j)));
    sum_.narrow(0, i, width(i)).narrow(1, j, width(j)).add_(product);
  });
  tokens_ += x.size(0);
}

at::Tensor Hessian::matrix() const { return sum_.triu() + sum_.triu(1).t(); }

}  // namespace tigerbot::quant
