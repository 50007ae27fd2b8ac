#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "ops/cpu/isa.h"

/// Checks that the operations' tests share.
namespace tigerbot::ops {

using Tensors = std::vector<at::Tensor>;
using Function = std::function<Tensors(const Tensors&)>;

/// Normally distributed float64, the same for the same seed.
at::Tensor random_tensor(at::IntArrayRef shape, std::uint64_t seed, double scale = 1.0);

/// |actual - expected| <= tolerance * (|expected| + mean |expected|) everywhere, in float64.
void expect_close(const at::Tensor& actual, const at::Tensor& expected, double tolerance,
                  const std::string& what);

/// |actual - expected| <= tolerance * |expected| as vectors (Euclidean norms).
void expect_close_overall(const at::Tensor& actual, const at::Tensor& expected, double tolerance,
                          const std::string& what);

/// Equal bits, type and shape.
void expect_same_bits(const at::Tensor& actual, const at::Tensor& expected,
                      const std::string& what);

/// The instruction sets of this machine, from scalar up.
std::vector<cpu::Isa> available_isas();

/// Outputs, then gradients of sum(output_i * random_i) with respect to the inputs.
struct Evaluation {
  Tensors outputs;
  Tensors gradients;
};
Evaluation evaluate(const Function& function, const Tensors& inputs);

/// The function's gradients in float64 agree with central differences.
void expect_gradients_match_differences(const Function& function, const Tensors& inputs);

/// Outputs and gradients of float32 and bfloat16 inputs agree with those of the same numbers in
/// float64, on every instruction set.
void expect_kernels_match_float64(const Function& function, const Tensors& inputs);

/// The bits do not depend on the number of threads, and a second run gives the first's.
void expect_thread_count_does_not_matter(const Function& function, const Tensors& inputs);

/// The action throws a tigerbot::Error of one line that contains `text`.
void expect_error(const std::function<void()>& action, const std::string& text);

}  // namespace tigerbot::ops
