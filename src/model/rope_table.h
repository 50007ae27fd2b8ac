#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "model/config.h"
#include "ops/ops.h"

namespace tigerbot {

/// What rotary embedding turns by: the angle of pair i at position p is p * inverse[i], and cos and
/// sin are multiplied by attention_factor.
struct RopeFrequencies {
  at::Tensor inverse;  ///< float32 [head_dim / 2]
  double attention_factor = 1.0;
};

/// The frequencies of a sequence of `length` tokens, with the scaling of config.rope_scaling:
/// linear (Chen et al. 2023), dynamic NTK (the only one that asks for the length), YaRN (Peng et
/// al. 2023) or Llama 3.1's. All are computed in float32 as transformers does.
RopeFrequencies rope_frequencies(const ModelConfig& config, std::int64_t length);

/// cos and sin of every token, once for all layers.
class RopeTable {
 public:
  explicit RopeTable(const ModelConfig& config);

  /// `lengths`: of each whole sequence, what is cached included. float32 [tokens, head_dim / 2],
  /// on the device of the positions.
  ops::RopeAngles angles(const Sequences& sequences,
                         const std::vector<std::int64_t>& lengths) const;

 private:
  ModelConfig config_;
  RopeFrequencies trained_;  ///< for all lengths up to the trained one
};

}  // namespace tigerbot
