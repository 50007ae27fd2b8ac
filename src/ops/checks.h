#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>

/// What every operation asks of its inputs. Each failure is one tigerbot::Error that names the
/// operation, the argument, what it is and what was expected.
namespace tigerbot::ops {

/// "bfloat16 [3, 576]", or "undefined".
std::string describe(const at::Tensor& tensor);

/// Defined, and bfloat16, float32 or float64.
void check_floating(std::string_view op, std::string_view name, const at::Tensor& tensor);

/// Exactly this shape; -1 matches any size.
void check_shape(std::string_view op, std::string_view name, const at::Tensor& tensor,
                 std::initializer_list<std::int64_t> shape);

/// The same shape, type and device as `reference`.
void check_like(std::string_view op, std::string_view name, const at::Tensor& tensor,
                std::string_view reference_name, const at::Tensor& reference);

/// A vector [features] of parameters for x [..., features]: of x's type or float32, on its device.
void check_parameter(std::string_view op, std::string_view name, const at::Tensor& tensor,
                     const at::Tensor& x);

/// Whether our CPU kernels take this tensor: bfloat16 or float32 on a CPU. All else is composed of
/// ATen's operations.
bool takes_kernels(const at::Tensor& tensor);

/// The type in which sums of `type` are made: float64 stays, all else is float32.
at::ScalarType accumulate_type(at::ScalarType type);

}  // namespace tigerbot::ops
