#pragma once

#include <ATen/core/Tensor.h>

#include <functional>
#include <vector>

namespace tigerbot {

/// Which parts of a decoder's layers are run a second time in the backward pass, in place of
/// keeping what they computed (Chen et al. 2016). Gradients stay the same to the bit.
enum class ActivationCheckpointing {
  kNone,
  kSelective,  ///< the perceptrons: about half of the memory for a sixth more arithmetic
  kFull,       ///< whole layers: the least memory, a third more arithmetic
};

using Block = std::function<std::vector<at::Tensor>(const std::vector<at::Tensor>&)>;

/// block(inputs), of which only the inputs are kept until the backward pass. The block must do the
/// same each time that it is called. Where no gradients are wanted it is just called.
std::vector<at::Tensor> recompute(const Block& block, const std::vector<at::Tensor>& inputs);

}  // namespace tigerbot
