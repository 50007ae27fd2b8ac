#pragma once

#include <functional>
#include <span>

#include "tokenizer/tokenizer.h"

namespace tigerbot {

/// Runs work(i) for every i below `count` on `threads` threads (0: as many as the machine has),
/// each taking the next i when it is free. The first exception is thrown again after all have
/// ended.
void run_parallel(std::size_t count, int threads, const std::function<void(std::size_t)>& work);

}  // namespace tigerbot
