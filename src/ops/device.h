#pragma once

#include <c10/core/Device.h>

#include <string>

namespace tigerbot {

/// The device that `--device` names: "cpu", "cuda" or "cuda:N". LibTorch's CUDA library is loaded
/// here, the first time that it is asked for; a machine without it, or without a GPU, is an Error.
at::Device parse_device(const std::string& name);

}  // namespace tigerbot
