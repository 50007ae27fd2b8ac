#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "model/config.h"
#include "model/linear.h"
#include "model/parameters.h"
#include "ops/ops.h"

namespace tigerbot::quant {

/// What quantization asks of a model, decoder or encoder: its blocks one at a time, with no weights
/// in memory but that block's.
class LayeredModel {
 public:
  virtual ~LayeredModel() = default;

  virtual const ModelConfig& config() const = 0;

  /// Every parameter, in the order of the checkpoint.
  virtual std::vector<Parameter> parameters() = 0;

  /// Every Linear of the layers (not the output layer), in the order of the checkpoint.
  virtual std::vector<Linear*> linears() = 0;

  /// "model.layers.3": what the names of a block's parameters begin with.
  virtual std::string block_name(std::int64_t block) const = 0;

  /// The residual stream before the first block: ids [tokens] -> [tokens, hidden_size].
  virtual at::Tensor embed(const at::Tensor& ids, const Sequences& sequences) const = 0;

  /// One block over whole sequences: the stream before it -> after it. The parameters that are not
  /// matrices must be there for all.
  virtual at::Tensor run_block(std::int64_t block, const at::Tensor& x,
                               const Sequences& sequences) const = 0;
};

/// A model of this shape whose parameters are all undefined.
std::unique_ptr<LayeredModel> make_empty_model(const ModelConfig& config);

}  // namespace tigerbot::quant
