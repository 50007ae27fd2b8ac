#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "quant/solver.h"

namespace tigerbot::quant {

void check_grid(const GridOptions& options) {
  if (options.bits != 3 && options.bits != 4 && options.bits != 8) {
    fail("--bits {}: 3, 4 and 8 are supported", options.bits);
  }
  const std::int64_t size = options.group_size;
  if (size != 32 && size != 64 && size != 128 && size != -1) {
    fail("--group-size {}: 32, 64, 128 and -1 (the whole row) are supported", size);
  }
}

void check_width(const GridOptions& options, const std::string& name, std::int64_t in_features) {
  if (options.group_size == -1 || in_features % options.group_size == 0) return;
  std::string fits;
  for (const int size : {128, 64, 32}) {
    if (in_features % size == 0) fits += fmt::format("{}, ", size);
  }
  fail("{}: groups of {} do not divide its {} input features; give --group-size {}-1 (whole rows)",
       name, options.group_size, in_features, fits.empty() ? "" : fits + "or ");
}

Grid Grid::of(const float* weights, std::int64_t count, int bits, bool symmetric) {
  const int highest = (1 << bits) - 1;
  float low = 0;
  float high = 0;
  for (std::int64_t i = 0; i < count; ++i) {
    low = std::min(low, weights[i]);
    high = std::max(high, weights[i]);
  }
  const auto middle = (highest + 1) / 2;
  Grid grid;
  grid.zero = middle;
  float scale = 0;
  if (symmetric) {
    scale = 2 * std::max(-low, high) / static_cast<float>(highest);
  } else {
    scale = (high - low) / static_cast<float>(highest);
    if (scale > 0) grid.zero = std::min(highest, static_cast<int>(std::lround(-low / scale)));
    if (grid.zero < 1) {
      grid.zero = 1;
      scale = high / static_cast<float>(highest - 1);
    }
  }
  scale = static_cast<float>(at::Half(scale));
  // Nothing but zeros, or next to it: any scale serves, and the code is the zero.
  if (scale == 0) {
    grid.zero = middle;
    scale = 1;
  }
  grid.scale = scale;
  return grid;
}

int Grid::code(float weight, int bits) const {
  const float highest = static_cast<float>((1 << bits) - 1);
  const float nearest = std::nearbyint(weight / scale) + static_cast<float>(zero);
  return static_cast<int>(std::clamp(nearest, 0.0F, highest));
}

}  // namespace tigerbot::quant
