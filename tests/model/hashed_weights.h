#pragma once

#include <ATen/core/Tensor.h>
#include <ATen/ops/empty.h>

#include <cmath>
#include <cstdint>
#include <string>
#include <vector>

#include "model/parameters.h"

namespace tigerbot {

/// count float32 in [-1, 1) that depend on the name alone: splitmix64 of FNV-1a(name) + index.
inline at::Tensor hashed_uniform(const std::string& name, std::int64_t count) {
  std::uint64_t seed = 0xCBF29CE484222325;
  for (const char c : name) seed = (seed ^ static_cast<unsigned char>(c)) * 0x100000001B3;
  at::Tensor out = at::empty({count}, at::kFloat);
  auto* values = out.data_ptr<float>();
  for (std::int64_t i = 0; i < count; ++i) {
    std::uint64_t z = seed + static_cast<std::uint64_t>(i + 1) * 0x9E3779B97F4A7C15;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
    z = z ^ (z >> 31);
    values[i] = static_cast<float>(z >> 40) * 0x1p-23F - 1.0F;
  }
  return out;
}

/// The parameters of tests/golden/models.py, which fills its models by the same rule.
inline at::Tensor hashed_parameter(const std::string& name,
                                   const std::vector<std::int64_t>& shape) {
  std::int64_t count = 1;
  for (const std::int64_t size : shape) count *= size;
  at::Tensor out = hashed_uniform(name, count);
  if (shape.size() == 2) {
    out.mul_(static_cast<float>(std::sqrt(3.0 / static_cast<double>(shape[1]))));
  } else if (name.ends_with("bias")) {
    out.mul_(0.3F);
  } else {
    out.mul_(0.3F).add_(1.0F);
  }
  return out.reshape(shape);
}

inline TensorSource hashed_source() {
  return [](const std::string& name, const std::vector<std::int64_t>& shape) {
    return hashed_parameter(name, shape);
  };
}

}  // namespace tigerbot
