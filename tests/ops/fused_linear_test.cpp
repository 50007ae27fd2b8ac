#include "ops/fused_linear.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/equal.h>
#include <gtest/gtest.h>

#include "ops/numeric.h"
#include "ops/ops.h"

namespace tigerbot::ops {
namespace {

const Tensors& inputs() {
  static const Tensors kInputs{random_tensor({5, 6}, 1), random_tensor({4, 6}, 2),
                               random_tensor({3, 6}, 3), random_tensor({8, 6}, 4)};
  return kInputs;
}

Tensors joined(const Tensors& in) { return joined_linears({in[0], {}, {}}, {in[1], in[2], in[3]}); }
Tensors parallel(const Tensors& in) {
  return parallel_linears({in[0], {}, {}}, {in[1], in[2], in[3]});
}
Tensors apart(const Tensors& in) {
  return {ops::linear(in[0], in[1]), ops::linear(in[0], in[2]), ops::linear(in[0], in[3])};
}
Tensors gated(const Tensors& in) { return {swiglu_linear(in[0], in[1], in[2])}; }

TEST(FusedLinear, GradientsMatchDifferences) {
  expect_gradients_match_differences(joined, inputs());
  expect_gradients_match_differences(parallel, inputs());
  expect_gradients_match_differences(
      gated, {random_tensor({5, 6}, 1), random_tensor({5, 6}, 2), random_tensor({3, 6}, 3)});
}

TEST(FusedLinear, ResultsAreThoseOfSingleProducts) {
  const Evaluation expected = evaluate(apart, inputs());
  for (const Function& function : {Function(joined), Function(parallel)}) {
    const Evaluation actual = evaluate(function, inputs());
    for (std::size_t i = 0; i < 3; ++i) {
      expect_close(actual.outputs[i], expected.outputs[i], 1e-12, "output");
    }
    for (std::size_t i = 0; i < 4; ++i) {
      expect_close(actual.gradients[i], expected.gradients[i], 1e-12, "gradient");
    }
  }
}

// What training of chosen parameters does: some of the weights are frozen.
TEST(FusedLinear, FrozenWeightsGetNoGradient) {
  for (const bool joins : {true, false}) {
    const at::Tensor x = inputs()[0].clone().set_requires_grad(true);
    const at::Tensor frozen = inputs()[1].clone();
    const at::Tensor trained = inputs()[2].clone().set_requires_grad(true);
    const Tensors out = joins ? joined_linears({x, {}, {}}, {frozen, trained})
                              : parallel_linears({x, {}, {}}, {frozen, trained});
    out[0].sum().add(out[1].sum()).backward();
    EXPECT_FALSE(frozen.grad().defined());
    EXPECT_TRUE(trained.grad().defined());
    EXPECT_TRUE(x.grad().defined());
  }
}

// x made again in the backward pass is the x of the forward pass, to the bit.
TEST(FusedLinear, GradientsThroughANormThatIsMadeAgainAreTheSame) {
  for (const at::ScalarType type : {at::kBFloat16, at::kFloat, at::kDouble}) {
    for (const bool joins : {true, false}) {
      std::vector<Tensors> gradients;
      for (const bool keeps : {true, false}) {
        Tensors in;
        for (const at::Tensor& tensor : inputs()) {
          in.push_back(tensor.to(type).detach().clone().set_requires_grad(true));
        }
        in.push_back(random_tensor({6}, 7).to(type).set_requires_grad(true));
        const at::Tensor x = rms_norm(in[0], in[4], 1e-5);
        const NormedInput normed =
            keeps ? NormedInput{x, {}, {}} : NormedInput{x, in[0], in[4], 1e-5};
        const Tensors out = joins ? joined_linears(normed, {in[1], in[2], in[3]})
                                  : parallel_linears(normed, {in[1], in[2], in[3]});
        (out[0].square().sum() + out[1].sum() + out[2].square().sum()).backward();
        gradients.emplace_back();
        for (const at::Tensor& tensor : in) gradients.back().push_back(tensor.grad());
      }
      for (std::size_t i = 0; i < gradients[0].size(); ++i) {
        EXPECT_TRUE(at::equal(gradients[0][i], gradients[1][i])) << i << " " << type;
      }
    }
  }
}

}  // namespace
}  // namespace tigerbot::ops
