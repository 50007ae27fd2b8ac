#pragma once

#include <atomic>
#include <cstddef>
#include <functional>
#include <optional>

namespace tigerbot {

/// Hands out the numbers below `count`, each once, to several threads.
class WorkQueue {
 public:
  explicit WorkQueue(std::size_t count) : count_(count) {}
  /// The next number; nothing when all are taken.
  std::optional<std::size_t> take() {
    const std::size_t number = next_++;
    if (number >= count_) return std::nullopt;
    return number;
  }
  void close() { next_ = count_; }
  std::size_t count() const { return count_; }

 private:
  const std::size_t count_;
  std::atomic<std::size_t> next_{0};
};

/// Runs worker(queue) on `threads` threads (0: as many as the machine has), but no more than there
/// is work. The first exception closes the queue and is thrown again after all workers have ended.
void run_parallel(WorkQueue& queue, int threads, const std::function<void(WorkQueue&)>& worker);

}  // namespace tigerbot
