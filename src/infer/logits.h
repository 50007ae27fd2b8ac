#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "tokenizer/tokenizer.h"

namespace tigerbot {

/// A token and its logit, or what has become of it.
using ScoredToken = std::pair<float, TokenId>;

/// The likelier first; among equals the lower id, so that the order never depends on the library.
inline bool likelier(const ScoredToken& a, const ScoredToken& b) {
  return a.first != b.first ? a.first > b.first : a.second < b.second;
}

/// One row of logits with the maxima of its parts, so that looking for the few large values among
/// tens of thousands passes over most of them. Reads `values`, which must outlive it unchanged.
class LogitRow {
 public:
  explicit LogitRow(std::span<const float> values);

  float highest() const { return highest_; }
  /// The lowest id among the most likely.
  TokenId most_likely() const;
  /// All at least this high, by id.
  std::vector<ScoredToken> at_least(float least) const;
  /// The `count` most likely (all, if there are fewer that are above minus infinity), in order.
  std::vector<ScoredToken> top(std::size_t count) const;
  /// e^((value - highest) * scale) of each, in float32.
  std::vector<float> weights(float scale) const;

 private:
  static constexpr std::size_t kPart = 64;
  std::span<const float> values_;
  std::vector<float> part_highest_;
  float highest_ = 0;
};

/// The first values.size() of row `row` of logits [n, vocabulary], bfloat16 or float32 on the CPU.
void read_logits(const at::Tensor& logits, std::int64_t row, std::span<float> values);

/// The sum, in an order that depends on their number alone.
double ordered_sum(std::span<const float> values);

}  // namespace tigerbot
