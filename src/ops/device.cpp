#include "ops/device.h"

#include <ATen/Context.h>
#include <dlfcn.h>

#include "base/error.h"

namespace tigerbot {

at::Device parse_device(const std::string& name) {
  if (name == "cpu") return at::kCPU;
  const bool is_cuda = name == "cuda" || name.starts_with("cuda:");
  const std::string index = name.size() > 5 ? name.substr(5) : "";
  if (!is_cuda || (name.size() > 4 && index.empty()) || index.size() > 3 ||
      index.find_first_not_of("0123456789") != std::string::npos) {
    fail("--device: \"{}\" is not one of cpu, cuda, cuda:N", name);
  }
  if (dlopen("libtorch_cuda.so", RTLD_NOW | RTLD_GLOBAL) == nullptr) {
    fail(
        "--device {}: LibTorch's CUDA library can't be loaded ({}); run scripts/setup.sh on a "
        "machine with an NVIDIA GPU, or use --device cpu",
        name, dlerror());
  }
  if (!at::globalContext().hasCUDA()) {
    fail("--device {}: no CUDA device can be used here (is the NVIDIA driver installed?)", name);
  }
  return {at::kCUDA, static_cast<c10::DeviceIndex>(index.empty() ? 0 : std::stoi(index))};
}

}  // namespace tigerbot
