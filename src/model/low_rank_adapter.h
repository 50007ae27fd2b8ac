#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>

namespace tigerbot {

/// Where the random numbers of a training run stand: the same for all of its layers.
struct DropoutClock {
  std::uint64_t seed = 0;
  std::uint64_t micro_batch = 0;  ///< counts up from the run's first
  bool training = false;          ///< nothing is dropped otherwise
};

/// A low-rank adapter of a Linear (LoRA, Hu et al. 2022).
struct LowRankAdapter {
  at::Tensor a;  ///< [rank, in_features]
  at::Tensor b;  ///< [out_features, rank]
  double scale = 1;
  double dropout = 0;
  std::uint64_t stream = 0;  ///< tells the layers' random numbers apart
  std::shared_ptr<const DropoutClock> clock;
};

/// y + scale * dropout(x) A^T B^T. x [tokens, in_features], y [tokens, out_features] -> like y.
at::Tensor add_adapter(const at::Tensor& x, const at::Tensor& y, const LowRankAdapter& adapter);

/// scale * B A [out_features, in_features], in float32: what merging adds to the weight.
at::Tensor adapter_product(const LowRankAdapter& adapter);

}  // namespace tigerbot
