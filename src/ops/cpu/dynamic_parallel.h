#pragma once

#include <ATen/Parallel.h>

#include <algorithm>
#include <atomic>
#include <cstdint>

namespace tigerbot::cpu {

/// Threads that run_items will use at most for this many items.
inline std::int64_t item_threads(std::int64_t items) {
  return std::max<std::int64_t>(1, std::min<std::int64_t>(items, at::get_num_threads()));
}

/// Calls function(thread, item) once for each item, in rising order, each as soon as a thread is
/// free: for work of uneven cost, the costly first. `thread` < item_threads(items).
template <typename Function>
void run_items(std::int64_t items, const Function& function) {
  std::atomic<std::int64_t> next{0};
  at::parallel_for(0, item_threads(items), 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t thread = begin; thread < end; ++thread) {
      for (std::int64_t item; (item = next.fetch_add(1)) < items;) function(thread, item);
    }
  });
}

}  // namespace tigerbot::cpu
