#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "ops/quantized_linear.h"

namespace tigerbot {

/// A named tensor of a model, as Hugging Face names it.
struct Parameter {
  std::string name;                 ///< "model.layers.0.self_attn.q_proj.weight"
  std::vector<std::int64_t> shape;  ///< whole, whatever slice of it a rank holds
  at::Tensor* tensor = nullptr;     ///< where it lies in the model; undefined before loading
};

/// Gives the tensor of a name with the shape that the model needs, or throws. May alias a memory
/// map. The model casts it to its own type and device where they differ.
using TensorSource =
    std::function<at::Tensor(const std::string& name, const std::vector<std::int64_t>& shape)>;

/// Gives the quantized weight of a name and shape where the model's file holds one, else an
/// undefined one.
using QuantizedSource = std::function<ops::QuantizedWeight(const std::string& name,
                                                           const std::vector<std::int64_t>& shape)>;

/// Fills every parameter from `source`; no copy where type and device are already right.
void load_parameters(const std::vector<Parameter>& parameters, const TensorSource& source,
                     at::ScalarType dtype, at::Device device);

}  // namespace tigerbot
