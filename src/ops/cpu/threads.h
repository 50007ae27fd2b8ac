#pragma once

#include <ATen/Parallel.h>

#include <algorithm>
#include <atomic>
#include <cstdint>

namespace tigerbot::cpu {

/// Runs fn(unit) for every unit of [0, units) on ATen's threads. Each thread takes the next unit
/// when it is done with its last, so that one delayed by other work of the machine does not hold up
/// the rest; use it where what a unit computes does not depend on the thread.
template <class Function>
void for_units(std::int64_t units, const Function& fn) {
  const std::int64_t threads = std::min<std::int64_t>(at::get_num_threads(), units);
  if (threads <= 1 || at::in_parallel_region()) {
    for (std::int64_t unit = 0; unit < units; ++unit) fn(unit);
    return;
  }
  std::atomic<std::int64_t> next{0};
  at::parallel_for(0, threads, 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t thread = begin; thread < end; ++thread) {
      for (std::int64_t unit = next.fetch_add(1, std::memory_order_relaxed); unit < units;
           unit = next.fetch_add(1, std::memory_order_relaxed)) {
        fn(unit);
      }
    }
  });
}

}  // namespace tigerbot::cpu
