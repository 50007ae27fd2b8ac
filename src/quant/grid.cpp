#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

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

namespace {

/// Adding and taking away this rounds a float of moderate size to the nearest integer, ties to
/// even, in two instructions that vectorize anywhere.
constexpr float kRounder = 12582912.0F;  // 1.5 * 2^23
constexpr int kLanes = 8;

struct Candidates {
  const float* weights;
  const float* importance;
  std::int64_t count;
  float highest;
  Grid best{};
  float least = std::numeric_limits<float>::infinity();

  /// The loss with this grid, and the scale that suits the codes it gives, by least squares.
  std::pair<float, float> measure(const Grid& grid) const {
    const float inverse = 1 / grid.scale;
    const float lowest = -static_cast<float>(grid.zero);
    const float top = highest + lowest;
    float loss[kLanes] = {};
    float cross[kLanes] = {};
    float square[kLanes] = {};
    for (std::int64_t i = 0; i < count; i += kLanes) {
      for (int lane = 0; lane < kLanes; ++lane) {
        const float w = weights[i + lane];
        float point = (w * inverse + kRounder) - kRounder;
        point = point < lowest ? lowest : point;
        point = point > top ? top : point;
        const float error = w - grid.scale * point;
        const float weighted = importance[i + lane] * point;
        loss[lane] += importance[i + lane] * error * error;
        cross[lane] += weighted * w;
        square[lane] += weighted * point;
      }
    }
    float total = 0, over = 0, under = 0;
    for (int lane = 0; lane < kLanes; ++lane) {
      total += loss[lane], over += cross[lane], under += square[lane];
    }
    return {total, under > 0 ? over / under : grid.scale};
  }

  void consider(float scale, int zero) {
    for (int fits = 0; fits < 3; ++fits) {
      const Grid grid{static_cast<float>(at::Half(scale)), zero};
      // The bound keeps every weight within kRounder's reach.
      if (!(std::fabs(grid.scale) > 1e-7F)) return;
      const auto [loss, fitted] = measure(grid);
      if (loss < least) least = loss, best = grid;
      if (fitted == scale) return;
      scale = fitted;
    }
  }
};

}  // namespace

Grid Grid::search(const float* weights, const float* importance, std::int64_t count, int bits,
                  bool symmetric) {
  const int highest = (1 << bits) - 1;
  const Grid whole = of(weights, count, bits, symmetric);
  const auto [lowest_weight, highest_weight] = std::minmax_element(weights, weights + count);
  const float low = std::min(*lowest_weight, 0.0F);
  const float high = std::max(*highest_weight, 0.0F);
  // Scales next to float16's least, or past 2^22 steps, have no fractions worth a search.
  if (!(whole.scale > 1e-6F) || std::max(-low, high) > whole.scale * 1e4F) return whole;
  Candidates candidates{weights, importance, count, static_cast<float>(highest)};
  candidates.least = candidates.measure(whole).first;
  candidates.best = whole;
  const int middle = (highest + 1) / 2;
  for (const float share : {1.0F, 0.94F, 0.88F, 0.82F, 0.76F, 0.70F, 0.62F}) {
    if (symmetric) {
      // The codes reach one step farther down than up, so the sign decides which end fits.
      const float scale = share * std::max(-low, high) / static_cast<float>(middle);
      candidates.consider(scale, middle);
      candidates.consider(-scale, middle);
      continue;
    }
    const float scale = share * (high - low) / static_cast<float>(highest);
    const auto zero =
        static_cast<int>(std::lround(-low / (high - low) * static_cast<float>(highest)));
    for (const int near : {zero - 1, zero, zero + 1}) {
      if (near >= 1 && near <= highest) candidates.consider(scale, near);
    }
  }
  return candidates.best;
}

int Grid::code(float weight, int bits) const {
  const float highest = static_cast<float>((1 << bits) - 1);
  const float nearest = std::nearbyint(weight / scale) + static_cast<float>(zero);
  return static_cast<int>(std::clamp(nearest, 0.0F, highest));
}

}  // namespace tigerbot::quant
