#pragma once

#include <cstdint>

namespace tigerbot {

/// What an engine does now, and what it has done since it began.
struct EngineStatistics {
  // Now
  std::int64_t running = 0;        ///< answers
  std::int64_t waiting = 0;        ///< answers not yet begun, or put off
  std::int64_t num_blocks = 0;     ///< of the cache
  std::int64_t free_blocks = 0;    ///< that can be given out, those below included
  std::int64_t cached_blocks = 0;  ///< of the free ones: kept for prompts that begin alike
  std::int64_t block_size = 0;     ///< tokens
  std::int64_t block_bytes = 0;    ///< over all layers
  std::int64_t stored_tokens = 0;  ///< of running answers
  std::int64_t held_tokens = 0;    ///< room in the blocks they hold
  /// Share of that room where nothing is stored: ends of last blocks, and prompts being read.
  double fragmentation() const {
    return held_tokens == 0
               ? 0.0
               : 1.0 - static_cast<double>(stored_tokens) / static_cast<double>(held_tokens);
  }
  // Since the beginning
  std::int64_t requests = 0;  ///< submitted
  std::int64_t finished = 0;  ///< answers that ended of themselves: stop, length
  std::int64_t cancelled = 0;
  std::int64_t timeouts = 0;
  std::int64_t errors = 0;
  std::int64_t refused = 0;            ///< because the queue was full
  std::int64_t preemptions = 0;        ///< answers put off to be computed again
  std::int64_t prompt_tokens = 0;      ///< of requests that began
  std::int64_t prefix_hit_tokens = 0;  ///< of them: found in the cache
  std::int64_t new_tokens = 0;
  std::int64_t drafted_tokens = 0;   ///< guessed by prompt lookup
  std::int64_t accepted_tokens = 0;  ///< of them: right
  std::int64_t steps = 0;
  double step_seconds = 0;       ///< all steps together
  double last_step_seconds = 0;  ///< the newest one
};

}  // namespace tigerbot
