#include "ops/optimizer.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>

#include <cmath>
#include <numeric>
#include <vector>

#include "base/error.h"
#include "ops/checks.h"
#include "ops/cpu/fused_kernels.h"
#include "ops/elementwise.h"
#include "ops/recorded.h"

namespace tigerbot::ops {
namespace {

void check_state(const char* name, const at::Tensor& state, const at::Tensor& weight,
                 at::ScalarType type) {
  if (!state.defined() || state.sizes() != weight.sizes() || state.scalar_type() != type ||
      !state.is_contiguous()) {
    fail_internal("adamw: {} is {}; contiguous {} of the weight's shape is needed ({})", name,
                  describe(state), c10::toString(type), describe(weight));
  }
}

/// The same step of ATen's operations.
void composed_step(const at::Tensor& weight, const at::Tensor& low, const at::Tensor& first,
                   const at::Tensor& second, const at::Tensor& gradient, const AdamW& options,
                   double rate, double root) {
  const at::Tensor g = gradient.to(at::kFloat) * options.gradient_scale;
  first.add_((g - first) * (1 - options.beta1));
  second.mul_(options.beta2).add_(g * g * (1 - options.beta2));
  at::Tensor master = low.defined() ? join_master(weight, low) : weight;
  master.mul_(1 - options.learning_rate * options.weight_decay);
  master.sub_(first * rate / (second.sqrt() * root + options.eps));
  if (!low.defined()) return;
  const auto halves = split_master(master);
  weight.copy_(halves.first);
  low.copy_(halves.second);
}

}  // namespace

void adamw_step(const at::Tensor& weight, const at::Tensor& low, const at::Tensor& first_moment,
                const at::Tensor& second_moment, const at::Tensor& gradient, const AdamW& options) {
  const Recorded recorded(
      "tigerbot::adamw",
      static_cast<std::int64_t>(2 * weight.nbytes() + (low.defined() ? 2 * low.nbytes() : 0) +
                                4 * first_moment.nbytes() + gradient.nbytes()));
  const bool bfloat16 = weight.scalar_type() == at::kBFloat16;
  if (!weight.is_contiguous()) fail_internal("adamw: the weight is not contiguous");
  if (bfloat16) check_state("low", low, weight, at::kShort);
  check_state("first_moment", first_moment, weight, at::kFloat);
  check_state("second_moment", second_moment, weight, at::kFloat);
  const bool float_gradient = gradient.scalar_type() == at::kFloat;
  check_state("gradient", gradient, weight, float_gradient ? at::kFloat : weight.scalar_type());

  const auto t = static_cast<double>(options.step);
  const double rate = options.learning_rate / (1 - std::pow(options.beta1, t));
  const double root = 1 / std::sqrt(1 - std::pow(options.beta2, t));
  if (!takes_kernels(weight)) {
    composed_step(weight, low, first_moment, second_moment, gradient, options, rate, root);
    return;
  }
  const cpu::FusedKernels& kernels = cpu::fused_kernels(bfloat16);
  parallel_elements(weight.numel(), [&](std::int64_t begin, std::int64_t end) {
    cpu::AdamWTask task;
    task.n = end - begin;
    task.weight = mutable_element(weight, begin);
    if (bfloat16) task.low = low.mutable_data_ptr<std::int16_t>() + begin;
    task.first_moment = first_moment.mutable_data_ptr<float>() + begin;
    task.second_moment = second_moment.mutable_data_ptr<float>() + begin;
    task.gradient = element(gradient, begin);
    task.float_gradient = float_gradient;
    task.gradient_scale = static_cast<float>(options.gradient_scale);
    task.decay = static_cast<float>(1 - options.learning_rate * options.weight_decay);
    task.beta1 = static_cast<float>(options.beta1);
    task.beta2 = static_cast<float>(options.beta2);
    task.rate = static_cast<float>(rate);
    task.root = static_cast<float>(root);
    task.eps = static_cast<float>(options.eps);
    kernels.adamw(task);
  });
}

at::Tensor join_master(const at::Tensor& weight, const at::Tensor& low) {
  const at::Tensor upper = weight.view(at::kShort).to(at::kInt).mul_(65536);
  return upper.add_(low.to(at::kInt)).view(at::kFloat);
}

std::pair<at::Tensor, at::Tensor> split_master(const at::Tensor& master) {
  const at::Tensor bits = master.view(at::kInt);
  // Integers wrap around, so the sum is right for negative numbers too.
  const at::Tensor weight = (bits + 0x8000).__rshift__(16).to(at::kShort).view(at::kBFloat16);
  return {weight, bits.to(at::kShort)};
}

void accumulate(const at::Tensor& sum, const at::Tensor& x) {
  const Recorded recorded("tigerbot::accumulate",
                          static_cast<std::int64_t>(2 * sum.nbytes() + x.nbytes()));
  if (!takes_kernels(x) || !x.is_contiguous()) {
    sum.add_(x);
    return;
  }
  const cpu::FusedKernels& kernels = cpu::fused_kernels(x.scalar_type() == at::kBFloat16);
  parallel_elements(x.numel(), [&](std::int64_t begin, std::int64_t end) {
    kernels.accumulate(end - begin, element(x, begin), sum.mutable_data_ptr<float>() + begin);
  });
}

double sum_of_squares(const at::Tensor& x) {
  const Recorded recorded("tigerbot::sum_of_squares", static_cast<std::int64_t>(x.nbytes()));
  if (!takes_kernels(x) || !x.is_contiguous()) {
    return x.to(at::kDouble).square().sum().item<double>();
  }
  const cpu::FusedKernels& kernels = cpu::fused_kernels(x.scalar_type() == at::kBFloat16);
  // One sum for each part of fixed size, then all of them in order.
  constexpr std::int64_t kPart = 65536;
  const std::int64_t n = x.numel();
  std::vector<double> parts(static_cast<std::size_t>((n + kPart - 1) / kPart));
  at::parallel_for(0, static_cast<std::int64_t>(parts.size()), 1,
                   [&](std::int64_t first, std::int64_t last) {
                     for (std::int64_t i = first; i < last; ++i) {
                       const std::int64_t begin = i * kPart;
                       parts[static_cast<std::size_t>(i)] =
                           kernels.sum_of_squares(std::min(kPart, n - begin), element(x, begin));
                     }
                   });
  return std::accumulate(parts.begin(), parts.end(), 0.0);
}

}  // namespace tigerbot::ops
