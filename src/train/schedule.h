#pragma once

#include <cstdint>
#include <string>

namespace tigerbot::train {

/// How the learning rate goes over a run: up in a straight line for warmup_steps, then
enum class ScheduleKind {
  kConstant,  ///< it stays at the peak
  kCosine,    ///< half a cosine down to the final rate (Loshchilov & Hutter 2017)
  kWsd,       ///< it stays, then falls in a straight line at the end (Hu et al. 2024, MiniCPM)
};

struct Schedule {
  ScheduleKind kind = ScheduleKind::kCosine;
  double learning_rate = 2e-4;        ///< the peak
  double final_learning_rate = 2e-5;  ///< at the last step, where the rate falls
  std::int64_t warmup_steps = 0;
  std::int64_t total_steps = 1;
  double decay_fraction = 0.1;  ///< kWsd: the part of all steps in which the rate falls
};

/// The rate of step `step`, counted from 1.
double learning_rate(const Schedule& schedule, std::int64_t step);

/// "constant", "cosine" or "wsd".
std::string schedule_name(ScheduleKind kind);

}  // namespace tigerbot::train
