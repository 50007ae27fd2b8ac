#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "ops/numeric.h"
#include "ops/ops.h"

namespace tigerbot::ops {
namespace {

constexpr double kEps = 1e-5;

/// The inputs of tests/golden/ops.py.
at::Tensor formula(at::IntArrayRef shape, std::int64_t seed, at::ScalarType type) {
  at::Tensor x = at::empty(shape, at::kFloat);
  for (std::int64_t i = 0; i < x.numel(); ++i) {
    x.mutable_data_ptr<float>()[i] = static_cast<float>((i * 7919 + seed * 104729) % 97 - 48) / 32;
  }
  return x.to(type);
}

at::Tensor from_json(const nlohmann::json& json, at::IntArrayRef shape) {
  const auto values = json.get<std::vector<double>>();
  at::Tensor x = at::empty(shape, at::kDouble);
  EXPECT_EQ(static_cast<std::int64_t>(values.size()), x.numel());
  std::copy(values.begin(), values.end(), x.mutable_data_ptr<double>());
  return x;
}

at::Tensor integers(const std::vector<std::int64_t>& values) {
  at::Tensor x = at::empty({static_cast<std::int64_t>(values.size())}, at::kLong);
  std::copy(values.begin(), values.end(), x.mutable_data_ptr<std::int64_t>());
  return x;
}

RopeAngles angles_for(std::int64_t tokens, std::int64_t half) {
  RopeAngles angles{at::empty({tokens, half}, at::kFloat), at::empty({tokens, half}, at::kFloat)};
  for (std::int64_t t = 0; t < tokens; ++t) {
    for (std::int64_t i = 0; i < half; ++i) {
      const double angle = static_cast<double>(t) *
                           std::pow(10.0, -static_cast<double>(i) / static_cast<double>(half));
      angles.cos[t][i] = std::cos(angle);
      angles.sin[t][i] = std::sin(angle);
    }
  }
  return angles;
}

Function turn(RopeLayout layout) {
  return [layout](const Tensors& in) {
    return Tensors{rope(in[0], angles_for(in[0].size(0), in[0].size(2) / 2), layout)};
  };
}

Tensors both(const std::pair<at::Tensor, at::Tensor>& results) {
  return {results.first, results.second};
}

std::map<std::string, Function> operations(const at::Tensor& labels) {
  return {
      {"rms_norm", [](const Tensors& in) { return Tensors{rms_norm(in[0], in[1], kEps)}; }},
      {"rms_norm_residual",
       [](const Tensors& in) { return both(rms_norm_residual(in[0], in[1], in[2], kEps)); }},
      {"layer_norm",
       [](const Tensors& in) { return Tensors{layer_norm(in[0], in[1], in[2], kEps)}; }},
      {"layer_norm_residual",
       [](const Tensors& in) {
         return both(layer_norm_residual(in[0], in[1], in[2], in[3], kEps));
       }},
      {"rope_half_split", turn(RopeLayout::kHalfSplit)},
      {"rope_adjacent_pairs", turn(RopeLayout::kAdjacentPair)},
      {"swiglu", [](const Tensors& in) { return Tensors{swiglu(in[0], in[1])}; }},
      {"gelu_exact", [](const Tensors& in) { return Tensors{gelu(in[0], Gelu::kExact)}; }},
      {"gelu_tanh", [](const Tensors& in) { return Tensors{gelu(in[0], Gelu::kTanh)}; }},
      {"embedding",
       [](const Tensors& in) {
         return Tensors{ops::embedding(integers({3, 0, 3, 7, 6, 3}), in[0])};
       }},
      {"cross_entropy",
       [labels](const Tensors& in) {
         const at::Tensor weights = formula({labels.size(0)}, 5, at::kFloat);
         return Tensors{cross_entropy(in[0], in[1], labels, weights).loss};
       }},
  };
}

TEST(OperationsGolden, EqualPyTorch) {
  std::ifstream file(TIGERBOT_SOURCE_DIR "/tests/golden/ops.json");
  const nlohmann::json golden = nlohmann::json::parse(file);
  const auto functions = operations(integers(golden.at("labels").get<std::vector<std::int64_t>>()));
  std::size_t seen = 0;
  for (const auto& golden_case : golden.at("cases")) {
    const auto name = golden_case.at("name").get<std::string>();
    const bool bfloat16 = golden_case.at("bfloat16");
    // Both sides round bfloat16, PyTorch between the steps of an operation too.
    const double tolerance = bfloat16 ? 8e-3 : 2e-6;
    for (const cpu::Isa isa : available_isas()) {
      const cpu::ScopedIsaLimit limit(isa);
      Tensors inputs;
      for (const auto& shape : golden_case.at("shapes")) {
        inputs.push_back(formula(shape.get<std::vector<std::int64_t>>(),
                                 static_cast<std::int64_t>(inputs.size()) + 1,
                                 bfloat16 ? at::kBFloat16 : at::kFloat)
                             .set_requires_grad(true));
      }
      const Tensors outputs = functions.at(name)(inputs);
      Tensors upstream;
      for (std::size_t i = 0; i < outputs.size(); ++i) {
        upstream.push_back(formula(outputs[i].sizes(), 20 + static_cast<std::int64_t>(i),
                                   outputs[i].scalar_type()));
      }
      const Tensors gradients = torch::autograd::grad(outputs, inputs, upstream);
      const auto what = [&](const char* kind, std::size_t i) {
        return fmt::format("{} {}, {} {} on {}", name, bfloat16 ? "bfloat16" : "float32", kind, i,
                           cpu::isa_name(isa));
      };
      ASSERT_EQ(golden_case.at("outputs").size(), outputs.size());
      for (std::size_t i = 0; i < outputs.size(); ++i) {
        expect_close_overall(outputs[i],
                             from_json(golden_case.at("outputs")[i], outputs[i].sizes()), tolerance,
                             what("output", i));
      }
      for (std::size_t i = 0; i < gradients.size(); ++i) {
        expect_close_overall(gradients[i],
                             from_json(golden_case.at("gradients")[i], gradients[i].sizes()),
                             tolerance, what("gradient", i));
      }
    }
    ++seen;
  }
  EXPECT_EQ(seen, 2 * functions.size());
}

}  // namespace
}  // namespace tigerbot::ops
