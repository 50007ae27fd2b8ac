#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "quant/hessian.h"
#include "quant/layered_model.h"
#include "quant/quantize_model.h"
#include "weights/gptq_format.h"

namespace tigerbot::quant {

/// One Linear, quantized and packed.
struct QuantizedLayer {
  std::string name;
  std::int64_t in_features = 0;
  std::int64_t out_features = 0;
  GptqTensors tensors;
  /// Of the layer's output on the calibration set, or, without one, of the weight itself:
  /// ||W - Q||^2 / ||W||^2.
  double error = 0;
  std::optional<double> round_to_nearest_error;  ///< the baseline's, where there is a better method

  std::uint64_t bytes() const;
};

/// Quantizes a model block after block: what reaches a block has gone through the quantized
/// blocks before it, so that each makes good for those before.
class BlockQuantizer {
 public:
  /// `model` has no parameters yet; `source` gives them. `calibration` is empty where the method
  /// needs none.
  BlockQuantizer(LayeredModel& model, TensorSource source, at::ScalarType dtype,
                 const QuantizeOptions& options, const CalibrationSet& calibration);

  /// Gives the next block's Linears, in order, each as soon as it is done; their weights are
  /// released again.
  void next(const std::function<void(QuantizedLayer)>& take);

 private:
  /// A few sequences and what has come of them so far.
  struct Batch {
    Sequences sequences;
    at::Tensor x;
  };
  /// The Hessian of each Linear's input; those that read the same tensor share one.
  std::map<const Linear*, std::shared_ptr<Hessian>> observe(const std::vector<Linear*>& linears);
  QuantizedLayer quantize(Linear& linear, const Hessian* hessian);

  LayeredModel& model_;
  TensorSource source_;
  at::ScalarType dtype_;
  const QuantizeOptions& options_;
  std::vector<Batch> batches_;
  std::int64_t block_ = 0;
};

}  // namespace tigerbot::quant
