#include "ops/checks.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <vector>

#include "base/error.h"

namespace tigerbot::ops {
namespace {

std::string type_name(at::ScalarType type) {
  switch (type) {
    case at::kBFloat16:
      return "bfloat16";
    case at::kFloat:
      return "float32";
    case at::kDouble:
      return "float64";
    case at::kHalf:
      return "float16";
    case at::kInt:
      return "int32";
    case at::kLong:
      return "int64";
    default:
      return c10::toString(type);
  }
}

std::string shape_text(std::initializer_list<std::int64_t> shape) {
  std::vector<std::string> sizes;
  for (const std::int64_t size : shape) sizes.push_back(size < 0 ? "any" : std::to_string(size));
  return fmt::format("[{}]", fmt::join(sizes, ", "));
}

}  // namespace

std::string describe(const at::Tensor& tensor) {
  if (!tensor.defined()) return "undefined";
  std::string text = fmt::format("{} [{}]", type_name(tensor.scalar_type()),
                                 fmt::join(tensor.sizes().begin(), tensor.sizes().end(), ", "));
  if (!tensor.is_cpu()) text += " on " + tensor.device().str();
  return text;
}

void check_floating(std::string_view op, std::string_view name, const at::Tensor& tensor) {
  if (tensor.defined()) {
    const at::ScalarType type = tensor.scalar_type();
    if (type == at::kBFloat16 || type == at::kFloat || type == at::kDouble) return;
  }
  fail("{}: {} is {}; convert it to bfloat16 or float32", op, name, describe(tensor));
}

void check_shape(std::string_view op, std::string_view name, const at::Tensor& tensor,
                 std::initializer_list<std::int64_t> shape) {
  const bool matches =
      tensor.defined() && tensor.dim() == static_cast<std::int64_t>(shape.size()) &&
      std::equal(shape.begin(), shape.end(), tensor.sizes().begin(),
                 [](std::int64_t want, std::int64_t have) { return want < 0 || want == have; });
  if (!matches) {
    fail("{}: {} is {}; expected shape {}", op, name, describe(tensor), shape_text(shape));
  }
}

void check_like(std::string_view op, std::string_view name, const at::Tensor& tensor,
                std::string_view reference_name, const at::Tensor& reference) {
  const bool matches = tensor.defined() && tensor.sizes() == reference.sizes() &&
                       tensor.scalar_type() == reference.scalar_type() &&
                       tensor.device() == reference.device();
  if (!matches) {
    fail("{}: {} is {} but {} is {}; they must agree", op, name, describe(tensor), reference_name,
         describe(reference));
  }
}

void check_parameter(std::string_view op, std::string_view name, const at::Tensor& tensor,
                     const at::Tensor& x) {
  if (x.dim() == 0) fail("{}: x is {}; expected [..., features]", op, describe(x));
  check_shape(op, name, tensor, {x.size(-1)});
  const bool matches =
      (tensor.scalar_type() == x.scalar_type() || tensor.scalar_type() == at::kFloat) &&
      tensor.device() == x.device();
  if (!matches) {
    fail("{}: {} is {} but x is {}; convert it to x's type or float32, on x's device", op, name,
         describe(tensor), describe(x));
  }
}

bool takes_kernels(const at::Tensor& tensor) {
  return tensor.is_cpu() &&
         (tensor.scalar_type() == at::kBFloat16 || tensor.scalar_type() == at::kFloat);
}

at::ScalarType accumulate_type(at::ScalarType type) {
  return type == at::kDouble ? at::kDouble : at::kFloat;
}

}  // namespace tigerbot::ops
