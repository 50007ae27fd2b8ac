#include "train/step_guard.h"

#include <algorithm>
#include <cmath>

namespace tigerbot::train {
namespace {

/// Good steps before a gradient can be called unusual.
constexpr std::int64_t kLearning = 20;
constexpr std::int64_t kWindow = 100;

}  // namespace

StepGuard::Verdict StepGuard::judge(double loss, double norm) {
  Verdict verdict = Verdict::kGood;
  if (!std::isfinite(loss) || !std::isfinite(norm)) {
    verdict = Verdict::kNotFinite;
  } else if (factor_ > 0 && good_ >= kLearning && norm > factor_ * usual_) {
    verdict = Verdict::kExploding;
  }
  if (verdict != Verdict::kGood) {
    ++skipped_;
    ++in_a_row_;
    return verdict;
  }
  in_a_row_ = 0;
  ++good_;
  usual_ += (norm - usual_) / static_cast<double>(std::min(good_, kWindow));
  return verdict;
}

Json StepGuard::state() const {
  return {{"usual", usual_}, {"good", good_}, {"skipped", skipped_}, {"in_a_row", in_a_row_}};
}

void StepGuard::restore(const Json& state) {
  JsonReader reader(state, "the checkpoint's step guard");
  usual_ = reader.get<double>("usual");
  good_ = reader.get<std::int64_t>("good");
  skipped_ = reader.get<std::int64_t>("skipped");
  in_a_row_ = reader.get<std::int64_t>("in_a_row");
  reader.finish();
}

}  // namespace tigerbot::train
