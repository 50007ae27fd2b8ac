#include "model/parameters.h"

namespace tigerbot {

void load_parameters(const std::vector<Parameter>& parameters, const TensorSource& source,
                     at::ScalarType dtype, at::Device device) {
  for (const Parameter& parameter : parameters) {
    *parameter.tensor = source(parameter.name, parameter.shape).to(device, dtype).contiguous();
  }
}

}  // namespace tigerbot
