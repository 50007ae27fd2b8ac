#include "infer/logits.h"

#include <ATen/ops/from_blob.h>

#include <algorithm>
#include <array>
#include <bit>
#include <limits>

#include "base/error.h"

namespace tigerbot {
namespace {

constexpr float kLowest = -std::numeric_limits<float>::infinity();

float highest_of(std::span<const float> values) {
  constexpr std::size_t kLanes = 16;
  std::array<float, kLanes> lanes;
  lanes.fill(kLowest);
  std::size_t i = 0;
  for (; i + kLanes <= values.size(); i += kLanes) {
    for (std::size_t lane = 0; lane < kLanes; ++lane) {
      lanes[lane] = values[i + lane] > lanes[lane] ? values[i + lane] : lanes[lane];
    }
  }
  for (; i < values.size(); ++i) lanes[0] = std::max(lanes[0], values[i]);
  return *std::max_element(lanes.begin(), lanes.end());
}

}  // namespace

LogitRow::LogitRow(std::span<const float> values) : values_(values) {
  part_highest_.reserve(values.size() / kPart + 1);
  for (std::size_t i = 0; i < values.size(); i += kPart) {
    part_highest_.push_back(highest_of(values.subspan(i, std::min(kPart, values.size() - i))));
  }
  highest_ = highest_of(part_highest_);
}

TokenId LogitRow::most_likely() const {
  const auto part = std::find(part_highest_.begin(), part_highest_.end(), highest_);
  const auto first = (part - part_highest_.begin()) * static_cast<std::ptrdiff_t>(kPart);
  return static_cast<TokenId>(std::find(values_.begin() + first, values_.end(), highest_) -
                              values_.begin());
}

std::vector<ScoredToken> LogitRow::at_least(float least) const {
  std::vector<ScoredToken> found;
  for (std::size_t part = 0; part < part_highest_.size(); ++part) {
    if (!(part_highest_[part] >= least)) continue;
    for (std::size_t i = part * kPart; i < std::min(values_.size(), (part + 1) * kPart); ++i) {
      if (values_[i] >= least) found.emplace_back(values_[i], static_cast<TokenId>(i));
    }
  }
  return found;
}

std::vector<ScoredToken> LogitRow::top(std::size_t count) const {
  // The count-th highest part has a value that at least `count` values reach.
  std::vector<float> parts = part_highest_;
  float least = std::numeric_limits<float>::lowest();
  if (count > 0 && count <= parts.size()) {
    const auto place = parts.begin() + static_cast<std::ptrdiff_t>(count - 1);
    std::nth_element(parts.begin(), place, parts.end(), std::greater<>());
    least = std::max(least, *place);
  }
  std::vector<ScoredToken> found = at_least(least);
  const std::size_t kept = std::min(count, found.size());
  std::partial_sort(found.begin(), found.begin() + static_cast<std::ptrdiff_t>(kept), found.end(),
                    likelier);
  found.resize(kept);
  return found;
}

std::vector<float> LogitRow::weights(float scale) const {
  std::vector<float> weights(values_.size());
  for (std::size_t i = 0; i < values_.size(); ++i) weights[i] = (values_[i] - highest_) * scale;
  at::Tensor all =
      at::from_blob(weights.data(), {static_cast<std::int64_t>(weights.size())}, at::kFloat);
  all.exp_();
  return weights;
}

void read_logits(const at::Tensor& logits, std::int64_t row, std::span<float> values) {
  const auto vocabulary = static_cast<std::size_t>(logits.size(1));
  if (values.size() > vocabulary) fail_internal("there are fewer logits than pieces");
  const std::size_t first = static_cast<std::size_t>(row) * vocabulary;
  if (logits.scalar_type() == at::kBFloat16) {
    const auto* from =
        reinterpret_cast<const std::uint16_t*>(logits.const_data_ptr<at::BFloat16>()) + first;
    for (std::size_t i = 0; i < values.size(); ++i) {
      values[i] = std::bit_cast<float>(static_cast<std::uint32_t>(from[i]) << 16);
    }
  } else {
    const float* from = logits.const_data_ptr<float>() + first;
    std::copy(from, from + values.size(), values.begin());
  }
}

double ordered_sum(std::span<const float> values) {
  constexpr std::size_t kLanes = 8;
  std::array<double, kLanes> lanes{};
  std::size_t i = 0;
  for (; i + kLanes <= values.size(); i += kLanes) {
    for (std::size_t lane = 0; lane < kLanes; ++lane) lanes[lane] += values[i + lane];
  }
  for (std::size_t lane = 0; i < values.size(); ++i, ++lane) lanes[lane] += values[i];
  double sum = 0;
  for (const double lane : lanes) sum += lane;
  return sum;
}

}  // namespace tigerbot
