#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>

#include "ops/quantized_linear.h"

namespace tigerbot::quant {

/// How weights become integers.
struct GridOptions {
  int bits = 4;                   ///< 3, 4 or 8
  std::int64_t group_size = 128;  ///< input features that share a scale: 32, 64, 128; -1: the row
  bool symmetric = false;         ///< the zero lies in the middle of the codes
};

/// In which order GPTQ rounds the input features. What is rounded early is made good for by more
/// columns, so the features with the largest activations come first.
enum class ColumnOrder {
  kGroups,       ///< whole groups, and features within each: the file's groups stay in order
  kActivations,  ///< all features ("desc_act"): the file says the group of each
  kStored,       ///< as they lie in the weight
};

struct GptqOptions {
  GridOptions grid;
  ColumnOrder order = ColumnOrder::kGroups;
  double damping = 0.01;  ///< of the Hessian's mean diagonal, added to the diagonal
  /// Looks for the scale and zero that lose least (of 3 and 4 bits), instead of those that reach
  /// from the least to the greatest weight.
  bool search_grid = true;
  /// Passes over the solved layer that move codes and scales on while the error falls.
  int refinements = 2;
};

/// An Error if the options are not among those above, or if the group size does not divide the
/// width of layer `name`.
void check_grid(const GridOptions& options);
void check_width(const GridOptions& options, const std::string& name, std::int64_t in_features);

/// Scale (as float16 holds it) and zero of a group: scale * (code - zero) reaches from the least to
/// the greatest of the weights, zero included. The zero is at least 1: the first version of the
/// GPTQ format stores it less 1.
struct Grid {
  float scale = 1;
  int zero = 0;

  static Grid of(const float* weights, std::int64_t count, int bits, bool symmetric);

  /// The grid, of 3 or 4 bits, with the least sum of importance * (weight - its point)^2 among
  /// many: the ends cut off, the scale fitted, and, where it is symmetric, either sign. `count` is
  /// a multiple of 8.
  static Grid search(const float* weights, const float* importance, std::int64_t count, int bits,
                     bool symmetric);

  int code(float weight, int bits) const;
  float value(int code) const { return scale * static_cast<float>(code - zero); }
};

/// weight [out, in], each value to the nearest point of its group's grid: the baseline. `name` is
/// for errors: non-finite weights, or ones past the range of float16 scales.
ops::QuantizedParts round_to_nearest(const at::Tensor& weight, const GridOptions& options,
                                     const std::string& name);

/// GPTQ (Frantar et al. 2023): rounds column after column and moves the columns that are left so
/// that the layer's output on the calibration set changes least. weight [out, in]; hessian float64
/// [in, in], symmetric. Damping is raised tenfold, up to 1, where the matrix is singular without.
/// The same bits whatever the number of threads.
ops::QuantizedParts solve_gptq(const at::Tensor& weight, const at::Tensor& hessian,
                               const GptqOptions& options, const std::string& name);

/// ||(W - Q) X||^2 / ||W X||^2 of a layer's output on the calibration set. weight and quantized
/// [out, in], hessian float64 [in, in].
double relative_error(const at::Tensor& weight, const at::Tensor& quantized,
                      const at::Tensor& hessian);

}  // namespace tigerbot::quant
