#include "train/schedule.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace tigerbot::train {
namespace {

/// 0 at step `from`, 1 at step `to` and after.
double progress(std::int64_t step, std::int64_t from, std::int64_t to) {
  if (to <= from) return step >= to ? 1 : 0;
  const double part = static_cast<double>(step - from) / static_cast<double>(to - from);
  return std::clamp(part, 0.0, 1.0);
}

}  // namespace

double learning_rate(const Schedule& schedule, std::int64_t step) {
  const double peak = schedule.learning_rate;
  const double change = schedule.final_learning_rate - peak;
  if (step < schedule.warmup_steps) {
    return peak * static_cast<double>(step) / static_cast<double>(schedule.warmup_steps);
  }
  const std::int64_t total = schedule.total_steps;
  switch (schedule.kind) {
    case ScheduleKind::kConstant:
      return peak;
    case ScheduleKind::kCosine: {
      const double t = progress(step, schedule.warmup_steps, total);
      return peak + change * 0.5 * (1 - std::cos(std::numbers::pi * t));
    }
    case ScheduleKind::kWsd: {
      const auto falling = static_cast<std::int64_t>(
          std::llround(schedule.decay_fraction * static_cast<double>(total)));
      return peak +
             change * progress(step, std::max(schedule.warmup_steps, total - falling), total);
    }
  }
  return peak;
}

std::string schedule_name(ScheduleKind kind) {
  switch (kind) {
    case ScheduleKind::kConstant:
      return "constant";
    case ScheduleKind::kCosine:
      return "cosine";
    case ScheduleKind::kWsd:
      break;
  }
  return "wsd";
}

}  // namespace tigerbot::train
