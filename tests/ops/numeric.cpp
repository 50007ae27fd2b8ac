#include "ops/numeric.h"

#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/zeros_like.h>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include <algorithm>
#include <cmath>
#include <random>

#include "base/expect_error.h"

namespace tigerbot::ops {

at::Tensor random_tensor(at::IntArrayRef shape, std::uint64_t seed, double scale) {
  at::Tensor tensor = at::empty(shape, at::kDouble);
  std::mt19937_64 engine(seed);
  std::normal_distribution<double> normal(0.0, scale);
  auto* p = tensor.mutable_data_ptr<double>();
  for (std::int64_t i = 0; i < tensor.numel(); ++i) p[i] = normal(engine);
  return tensor;
}

void expect_close(const at::Tensor& actual, const at::Tensor& expected, double tolerance,
                  const std::string& what) {
  ASSERT_EQ(actual.sizes(), expected.sizes()) << what;
  const at::Tensor a = actual.detach().to(at::kDouble).contiguous();
  const at::Tensor e = expected.detach().to(at::kDouble).contiguous();
  const auto* pa = a.const_data_ptr<double>();
  const auto* pe = e.const_data_ptr<double>();
  double mean = 0;
  for (std::int64_t i = 0; i < e.numel(); ++i) mean += std::fabs(pe[i]);
  mean /= static_cast<double>(std::max<std::int64_t>(1, e.numel()));
  for (std::int64_t i = 0; i < e.numel(); ++i) {
    const double bound = tolerance * (std::fabs(pe[i]) + mean);
    if (!(std::fabs(pa[i] - pe[i]) <= bound)) {
      ADD_FAILURE() << what << ": element " << i << " is " << pa[i] << ", expected " << pe[i]
                    << " within " << bound;
      return;
    }
  }
}

void expect_close_overall(const at::Tensor& actual, const at::Tensor& expected, double tolerance,
                          const std::string& what) {
  ASSERT_EQ(actual.sizes(), expected.sizes()) << what;
  const at::Tensor e = expected.detach().to(at::kDouble);
  const double error = (actual.detach().to(at::kDouble) - e).norm().item<double>();
  EXPECT_LE(error, tolerance * e.norm().item<double>()) << what;
}

void expect_same_bits(const at::Tensor& actual, const at::Tensor& expected,
                      const std::string& what) {
  ASSERT_EQ(actual.sizes(), expected.sizes()) << what;
  ASSERT_EQ(actual.scalar_type(), expected.scalar_type()) << what;
  EXPECT_TRUE(at::equal(actual, expected)) << what;
}

std::vector<cpu::Isa> available_isas() {
  std::vector<cpu::Isa> isas;
  for (const cpu::Isa isa :
       {cpu::Isa::kScalar, cpu::Isa::kAvx2, cpu::Isa::kAvx512, cpu::Isa::kAvx512Bf16}) {
    if (isa <= cpu::best_isa()) isas.push_back(isa);
  }
  return isas;
}

Evaluation evaluate(const Function& function, const Tensors& inputs) {
  Tensors leaves;
  for (const at::Tensor& input : inputs) {
    leaves.push_back(input.detach().clone().set_requires_grad(true));
  }
  Evaluation evaluation;
  evaluation.outputs = function(leaves);
  Tensors cotangents;
  for (std::size_t i = 0; i < evaluation.outputs.size(); ++i) {
    const at::Tensor& output = evaluation.outputs[i];
    // Rounded to bfloat16 first, so that every type gets the same numbers.
    cotangents.push_back(
        random_tensor(output.sizes(), 1000 + i).to(at::kBFloat16).to(output.scalar_type()));
  }
  evaluation.gradients = torch::autograd::grad(evaluation.outputs, leaves, cotangents);
  for (at::Tensor& output : evaluation.outputs) output = output.detach();
  return evaluation;
}

void expect_gradients_match_differences(const Function& function, const Tensors& inputs) {
  const Evaluation evaluation = evaluate(function, inputs);
  const auto objective = [&](const Tensors& at_inputs) {
    const Tensors outputs = function(at_inputs);
    double sum = 0;
    for (std::size_t i = 0; i < outputs.size(); ++i) {
      const at::Tensor cotangent =
          random_tensor(outputs[i].sizes(), 1000 + i).to(at::kBFloat16).to(at::kDouble);
      sum += (outputs[i].to(at::kDouble) * cotangent).sum().item<double>();
    }
    return sum;
  };
  constexpr double kStep = 1e-5;
  for (std::size_t k = 0; k < inputs.size(); ++k) {
    Tensors moved;
    for (const at::Tensor& input : inputs) moved.push_back(input.clone());
    at::Tensor differences = at::zeros_like(inputs[k]);
    auto* p = moved[k].mutable_data_ptr<double>();
    auto* d = differences.mutable_data_ptr<double>();
    for (std::int64_t i = 0; i < inputs[k].numel(); ++i) {
      const double here = p[i];
      p[i] = here + kStep;
      const double above = objective(moved);
      p[i] = here - kStep;
      const double below = objective(moved);
      p[i] = here;
      d[i] = (above - below) / (2 * kStep);
    }
    expect_close(evaluation.gradients[k], differences, 1e-6, fmt::format("gradient {}", k));
  }
}

void expect_kernels_match_float64(const Function& function, const Tensors& inputs) {
  for (const at::ScalarType type : {at::kFloat, at::kBFloat16}) {
    Tensors stored;
    Tensors exact;
    for (const at::Tensor& input : inputs) {
      stored.push_back(input.to(type));
      exact.push_back(stored.back().to(at::kDouble));
    }
    const Evaluation expected = evaluate(function, exact);
    // bfloat16 keeps 8 bits; a sum that is rounded before its norm is rounded twice.
    const double tolerance = type == at::kFloat ? 4e-6 : 1.2e-2;
    for (const cpu::Isa isa : available_isas()) {
      const cpu::ScopedIsaLimit limit(isa);
      const Evaluation actual = evaluate(function, stored);
      const auto name = [&](const char* kind, std::size_t i) {
        return fmt::format("{} {} in {} on {}", kind, i, c10::toString(type), cpu::isa_name(isa));
      };
      for (std::size_t i = 0; i < expected.outputs.size(); ++i) {
        EXPECT_EQ(actual.outputs[i].scalar_type(), type) << name("output", i);
        expect_close(actual.outputs[i], expected.outputs[i], tolerance, name("output", i));
      }
      for (std::size_t i = 0; i < expected.gradients.size(); ++i) {
        EXPECT_EQ(actual.gradients[i].scalar_type(), type) << name("gradient", i);
        expect_close(actual.gradients[i], expected.gradients[i], tolerance, name("gradient", i));
      }
    }
  }
}

void expect_thread_count_does_not_matter(const Function& function, const Tensors& inputs) {
  const int threads = at::get_num_threads();
  for (const at::ScalarType type : {at::kFloat, at::kBFloat16}) {
    Tensors stored;
    for (const at::Tensor& input : inputs) stored.push_back(input.to(type));
    at::set_num_threads(1);
    const Evaluation expected = evaluate(function, stored);
    for (const int count : {1, 2, 3}) {
      at::set_num_threads(count);
      const Evaluation actual = evaluate(function, stored);
      const std::string what = fmt::format("{} on {} threads", c10::toString(type), count);
      for (std::size_t i = 0; i < expected.outputs.size(); ++i) {
        expect_same_bits(actual.outputs[i], expected.outputs[i], what);
      }
      for (std::size_t i = 0; i < expected.gradients.size(); ++i) {
        expect_same_bits(actual.gradients[i], expected.gradients[i], what);
      }
    }
  }
  at::set_num_threads(threads);
}

void expect_error(const std::function<void()>& action, const std::string& text) {
  const std::string message = testing::error_of(action);
  EXPECT_NE(message.find(text), std::string::npos)
      << "\"" << message << "\" lacks \"" << text << '"';
}

}  // namespace tigerbot::ops
