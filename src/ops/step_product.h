#pragma once

#include <ATen/core/Tensor.h>

#include <cstddef>
#include <cstdint>
#include <vector>

#include "ops/cpu/decode_crew.h"
#include "ops/cpu/linear_kernels.h"
#include "ops/linear.h"
#include "ops/quantized_weight.h"

/// The products of a decode step, with dense or quantized weights.
namespace tigerbot::ops {

/// Rows of activations: row r at base + r * stride elements.
struct Rows {
  std::byte* base = nullptr;
  std::int64_t stride = 0;
  std::int64_t size = 0;  ///< bytes of an element

  std::byte* at(std::int64_t row, std::int64_t column = 0) const {
    return base + (row * stride + column) * size;
  }
  std::int64_t words() const { return stride * size / 4; }
};

/// A layer's weight, dense or quantized, or none.
struct LayerWeight {
  LayerWeight() = default;
  LayerWeight(at::Tensor weight) : dense(std::move(weight)) {}           // NOLINT: as it is
  LayerWeight(QuantizedWeight weight) : quantized(std::move(weight)) {}  // NOLINT

  bool defined() const { return dense.defined() || quantized.defined(); }
  std::int64_t out_features() const {
    return quantized.defined() ? quantized.out_features() : dense.size(0);
  }
  std::int64_t in_features() const {
    return quantized.defined() ? quantized.in_features() : dense.size(1);
  }

  at::Tensor dense;
  QuantizedWeight quantized;
};

/// Products of the same activations, ready to run: their outputs stand one after the other, or (a
/// gate and what it gates) become silu(gate) * up.
class StepProduct {
 public:
  StepProduct() = default;
  /// All dense, of one type, or all quantized. `name` is a literal, for profiles.
  static StepProduct joined(const char* name, const std::vector<LayerWeight>& weights);
  static StepProduct gated(const char* name, const LayerWeight& gate, const LayerWeight& up);

  const char* name() const { return name_; }
  /// Of the weights: what a product of few rows has to read.
  std::int64_t bytes() const { return bytes_; }

  /// Bytes that round() needs for so many rows; 0 where the weights are dense.
  std::int64_t rounded_bytes(std::int64_t rows) const;
  bool quantized() const { return !parts_.empty(); }

  /// Rounds row `row` of `rows` of bfloat16 activations into `memory`, for run().
  void round(const std::byte* x, std::int64_t row, std::int64_t rows, std::byte* memory) const;

  /// x weight^T into (or, by its Finish, added to) `output`, of which `columns` are given by the
  /// weights. x rows are dense activations; `rounded` is what round() has made of them all.
  void run(cpu::CrewMember& member, const cpu::LinearKernels& kernels, const Rows& x,
           std::int64_t rows, std::int64_t threads, const cpu::ProductOutput& output,
           std::byte* rounded) const;

 private:
  void finish();
  std::vector<cpu::RoundedRows> places(std::int64_t rows, std::byte* memory) const;

  const char* name_ = "";
  std::int64_t bytes_ = 0;
  bool gated_ = false;
  std::int64_t columns_ = 0;
  PackedWeight dense_;  ///< gated: the words of the two in turn, one stream
  std::vector<QuantizedWeight> parts_;
  std::vector<InputForm> forms_;         ///< that the parts ask of x, each once
  std::vector<std::size_t> part_forms_;  ///< the form of each part
};

}  // namespace tigerbot::ops
