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

/// How one sequence's rotary angles are stretched past the trained length, by the tokens that it
/// will have in all: the same from its first token to its last, whatever else is computed.
struct RotaryScale {
  /// kLinear, kDynamic or kYarn; kNone: as the model's config says.
  RopeScaling::Kind kind = RopeScaling::Kind::kNone;
  double factor = 1;        ///< the longest sequence, in trained lengths
  std::int64_t length = 0;  ///< tokens of the sequence in all
};

/// The frequencies of a sequence scaled so. Within the trained length they are the model's own;
/// beyond, linear and YaRN stretch by length / trained length, dynamic NTK as transformers does
/// with this factor and length.
RopeFrequencies scaled_frequencies(const ModelConfig& config, const RotaryScale& scale);

/// cos and sin of every token, once for all layers.
class RopeTable {
 public:
  explicit RopeTable(const ModelConfig& config);

  /// `lengths`: of each whole sequence, what is cached included. float32 [tokens, head_dim / 2],
  /// on the device of the positions.
  ops::RopeAngles angles(const Sequences& sequences,
                         const std::vector<std::int64_t>& lengths) const;
  /// The same with each sequence's own scale.
  ops::RopeAngles angles(const Sequences& sequences, const std::vector<RotaryScale>& scales) const;

 private:
  bool stretches(const RotaryScale& scale) const;

  ModelConfig config_;
  RopeFrequencies trained_;  ///< for all lengths up to the trained one
};

}  // namespace tigerbot
