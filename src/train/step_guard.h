#pragma once

#include <cstdint>

#include "base/json.h"

namespace tigerbot::train {

/// Tells steps that must not change the weights: a loss or gradient that is not finite, or a
/// gradient many times longer than usual.
class StepGuard {
 public:
  /// `explosion_factor` 0: any finite gradient is fine.
  StepGuard(double explosion_factor, std::int64_t max_skipped_in_a_row)
      : factor_(explosion_factor), max_skipped_(max_skipped_in_a_row) {}

  enum class Verdict { kGood, kNotFinite, kExploding };
  Verdict judge(double loss, double gradient_norm);

  std::int64_t skipped() const { return skipped_; }
  std::int64_t skipped_in_a_row() const { return in_a_row_; }
  bool too_many() const { return in_a_row_ > max_skipped_; }

  Json state() const;
  void restore(const Json& state);

 private:
  double factor_;
  std::int64_t max_skipped_;
  double usual_ = 0;  // a mean of good gradients' lengths, the last hundred or so
  std::int64_t good_ = 0, skipped_ = 0, in_a_row_ = 0;
};

}  // namespace tigerbot::train
