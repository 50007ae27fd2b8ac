#include "ops/optimizer.h"

#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include <cmath>

#include "ops/numeric.h"

namespace tigerbot::ops {
namespace {

/// One weight, as the paper writes it, in float64.
struct PlainAdamW {
  double w = 0, m = 0, v = 0;

  void step(double gradient, const AdamW& o) {
    const double g = gradient * o.gradient_scale;
    m = o.beta1 * m + (1 - o.beta1) * g;
    v = o.beta2 * v + (1 - o.beta2) * g * g;
    const auto t = static_cast<double>(o.step);
    w -= o.learning_rate * o.weight_decay * w;
    w -= o.learning_rate * (m / (1 - std::pow(o.beta1, t))) /
         (std::sqrt(v / (1 - std::pow(o.beta2, t))) + o.eps);
  }
};

AdamW usual() {
  AdamW options;
  options.learning_rate = 1e-2;
  options.weight_decay = 0.1;
  options.gradient_scale = 0.7;
  return options;
}

TEST(Optimizer, AdamWFollowsThePaperOnEveryInstructionSet) {
  for (const std::int64_t n : {1, 7, 16, 33, 8195}) {
    for (const cpu::Isa isa : available_isas()) {
      const cpu::ScopedIsaLimit limit(isa);
      at::Tensor weight = random_tensor({n}, 1).to(at::kFloat);
      const at::Tensor m = at::zeros({n}, at::kFloat);
      const at::Tensor v = at::zeros({n}, at::kFloat);
      std::vector<PlainAdamW> plain(static_cast<std::size_t>(n));
      for (std::int64_t i = 0; i < n; ++i) plain[i].w = weight[i].item<double>();
      AdamW options = usual();
      for (options.step = 1; options.step <= 5; ++options.step) {
        const at::Tensor g = random_tensor({n}, 10 + options.step).to(at::kFloat);
        adamw_step(weight, {}, m, v, g, options);
        for (std::int64_t i = 0; i < n; ++i) {
          plain[i].step(g.data_ptr<float>()[i], options);
        }
      }
      for (std::int64_t i = 0; i < n; ++i) {
        EXPECT_NEAR(weight.data_ptr<float>()[i], plain[i].w, 2e-6) << i << " of " << n;
      }
    }
  }
}

TEST(Optimizer, Bfloat16WeightsAreTheRoundedMasters) {
  for (const std::int64_t n : {5, 16, 1003}) {
    for (const cpu::Isa isa : available_isas()) {
      const cpu::ScopedIsaLimit limit(isa);
      at::Tensor master = random_tensor({n}, 1).to(at::kFloat);
      const auto halves = split_master(master);
      const at::Tensor weight = halves.first;
      const at::Tensor low = halves.second;
      const at::Tensor m = at::zeros({n}, at::kFloat), v = at::zeros({n}, at::kFloat);
      const at::Tensor m2 = at::zeros({n}, at::kFloat), v2 = at::zeros({n}, at::kFloat);
      AdamW options = usual();
      for (options.step = 1; options.step <= 20; ++options.step) {
        const at::Tensor g = random_tensor({n}, 10 + options.step).to(at::kBFloat16);
        adamw_step(weight, low, m, v, g, options);
        adamw_step(master, {}, m2, v2, g.to(at::kFloat), options);
      }
      expect_same_bits(join_master(weight, low), master, "masters");
      expect_close(weight, master, 0x1p-8, "weights");
    }
  }
}

// Ties and negative numbers: the lower half alone must tell which way the upper was rounded.
TEST(Optimizer, EveryMasterComesBackFromItsHalves) {
  at::Tensor bits = at::zeros({4 * 65536}, at::kInt);
  for (int i = 0; i < 65536; ++i) {
    bits.data_ptr<int>()[i] = 0x3f800000 + i;
    bits.data_ptr<int>()[65536 + i] = 0x3f810000 + i;
    bits.data_ptr<int>()[2 * 65536 + i] = static_cast<int>(0xbf810000U) + i;
    bits.data_ptr<int>()[3 * 65536 + i] = i;
  }
  const at::Tensor master = bits.view(at::kFloat);
  const auto halves = split_master(master);
  EXPECT_TRUE(at::equal(join_master(halves.first, halves.second).view(at::kInt), bits));
  expect_close(halves.first.to(at::kFloat).narrow(0, 0, 3 * 65536), master.narrow(0, 0, 3 * 65536),
               0x1p-8, "rounded");
}

TEST(Optimizer, ComposedStepsMatchTheKernels) {
  const std::int64_t n = 100;
  at::Tensor weight = random_tensor({n}, 1).to(at::kFloat);
  at::Tensor wide = weight.to(at::kDouble);  // no kernels take float64
  const at::Tensor m = at::zeros({n}, at::kFloat), v = at::zeros({n}, at::kFloat);
  const at::Tensor m2 = at::zeros({n}, at::kFloat), v2 = at::zeros({n}, at::kFloat);
  AdamW options = usual();
  for (options.step = 1; options.step <= 5; ++options.step) {
    const at::Tensor g = random_tensor({n}, 10 + options.step).to(at::kFloat);
    adamw_step(weight, {}, m, v, g, options);
    adamw_step(wide, {}, m2, v2, g, options);
  }
  expect_close(weight, wide, 1e-5, "weights");
}

TEST(Optimizer, SumsAreExactEnoughAndDoNotDependOnThreads) {
  for (const cpu::Isa isa : available_isas()) {
    const cpu::ScopedIsaLimit limit(isa);
    for (const at::ScalarType type : {at::kFloat, at::kBFloat16}) {
      const at::Tensor x = random_tensor({200001}, 3).to(type);
      at::set_num_threads(1);
      const double one = sum_of_squares(x);
      at::set_num_threads(2);
      EXPECT_EQ(one, sum_of_squares(x));
      EXPECT_NEAR(one / x.to(at::kDouble).square().sum().item<double>(), 1, 1e-6);
      const at::Tensor sum = random_tensor({200001}, 4).to(at::kFloat);
      const at::Tensor expected = sum + x.to(at::kFloat);
      accumulate(sum, x);
      expect_same_bits(sum, expected, "sum");
    }
  }
}

}  // namespace
}  // namespace tigerbot::ops
