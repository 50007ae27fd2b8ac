#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

#include "infer/engine.h"

namespace tigerbot {

/// An Engine with a thread of its own, for callers on others. Every function here may be called
/// from any thread, listeners included. Listeners run on the engine's thread: they hand their news
/// on (post to an executor) and return, since all other requests wait meanwhile.
class EngineThread {
 public:
  /// Starts the thread. `engine` must outlive this and is used by nobody else meanwhile.
  explicit EngineThread(Engine& engine);
  /// Cancels what is left.
  ~EngineThread();
  EngineThread(const EngineThread&) = delete;
  EngineThread& operator=(const EngineThread&) = delete;

  /// Queues a request and gives its id at once; the listener hears of it later. An Error for a
  /// request that can't be run, a QueueFullError where too many wait or no more are taken.
  std::int64_t submit(GenerationRequest request, GenerationListener listener);

  /// Ends a request before the next step, and frees its blocks; its listener hears of it, unless it
  /// has ended already.
  void cancel(std::int64_t id);

  /// Runs a function on the engine's thread, between steps, and waits for it; what it throws is
  /// thrown here. Not from a listener.
  void run(const std::function<void(Engine&)>& function);
  /// The same without waiting; the function must not throw.
  void run_later(std::function<void(Engine&)> function);

  /// As of the last step.
  EngineStatistics statistics() const;

  /// Takes no more requests and waits until those taken have ended, or for `limit`; then cancels
  /// the rest. Whether all ended of themselves. Not from a listener.
  bool drain(std::chrono::milliseconds limit);

 private:
  struct Submission {
    std::int64_t id;
    GenerationRequest request;
    GenerationListener listener;
  };

  void work();
  void take_messages(std::unique_lock<std::mutex>& lock);

  Engine& engine_;
  mutable std::mutex mutex_;
  std::condition_variable news_;  // for the thread: there is something to do
  std::condition_variable idle_;  // for drain and run: something is done
  std::vector<Submission> submissions_;
  std::vector<std::int64_t> cancellations_;
  std::vector<std::function<void()>> functions_;
  EngineStatistics statistics_;
  std::int64_t refused_ = 0;
  bool draining_ = false;    // no more requests
  bool cancel_all_ = false;  // once
  bool stopping_ = false;    // cancel all and end
  bool busy_ = false;        // the engine has work left
  std::thread thread_;
};

}  // namespace tigerbot
