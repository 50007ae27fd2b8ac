#pragma once

#include <ATen/core/Tensor.h>

#include "base/random.h"

namespace tigerbot::ops {

/// x with each element zeroed with probability p, the others divided by 1 - p (Srivastava et al.
/// 2014). Which ones is a function of the key's seed and stream and of the element's number (from
/// key.index on) alone: a block that is run again drops the same, and nothing is kept for the
/// backward pass. x contiguous or not -> like x.
at::Tensor dropout(const at::Tensor& x, double p, RandomKey key);

}  // namespace tigerbot::ops
