#include "infer/engine_thread.h"

#include <exception>
#include <future>
#include <memory>
#include <utility>

namespace tigerbot {

EngineThread::EngineThread(Engine& engine)
    : engine_(engine), statistics_(engine.statistics()), thread_([this] { work(); }) {}

EngineThread::~EngineThread() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  news_.notify_one();
  thread_.join();
}

std::int64_t EngineThread::submit(GenerationRequest request, GenerationListener listener) {
  engine_.check(request);
  const std::int64_t id = engine_.reserve_id();
  {
    const std::lock_guard lock(mutex_);
    if (draining_ || stopping_) throw QueueFullError("the server is stopping");
    std::int64_t waiting = statistics_.waiting + request.n;
    for (const Submission& other : submissions_) waiting += other.request.n;
    if (const std::int64_t most = engine_.options().max_waiting; most > 0 && waiting > most) {
      ++refused_;
      throw QueueFullError(queue_full_message(most));
    }
    submissions_.push_back({id, std::move(request), std::move(listener)});
    busy_ = true;
  }
  news_.notify_one();
  return id;
}

void EngineThread::cancel(std::int64_t id) {
  {
    const std::lock_guard lock(mutex_);
    cancellations_.push_back(id);
  }
  news_.notify_one();
}

void EngineThread::run(const std::function<void(Engine&)>& function) {
  const auto task = std::make_shared<std::packaged_task<void()>>([&] { function(engine_); });
  {
    const std::lock_guard lock(mutex_);
    functions_.push_back([task] { (*task)(); });
  }
  news_.notify_one();
  task->get_future().get();
}

void EngineThread::run_later(std::function<void(Engine&)> function) {
  {
    const std::lock_guard lock(mutex_);
    functions_.push_back([this, function = std::move(function)] { function(engine_); });
  }
  news_.notify_one();
}

EngineStatistics EngineThread::statistics() const {
  const std::lock_guard lock(mutex_);
  EngineStatistics result = statistics_;
  for (const Submission& submission : submissions_) result.waiting += submission.request.n;
  result.refused += refused_;
  return result;
}

bool EngineThread::drain(std::chrono::milliseconds limit) {
  std::unique_lock lock(mutex_);
  draining_ = true;
  const auto ended = [this] { return !busy_; };
  if (idle_.wait_for(lock, limit, ended)) return true;
  cancel_all_ = true;
  news_.notify_one();
  idle_.wait(lock, ended);
  return false;
}

/// Takes what has come in. Listeners that a cancellation calls may call back here, so nothing of
/// the engine runs under the lock.
void EngineThread::take_messages(std::unique_lock<std::mutex>& lock) {
  auto submissions = std::exchange(submissions_, {});
  auto cancellations = std::exchange(cancellations_, {});
  auto functions = std::exchange(functions_, {});
  const bool cancel_all = std::exchange(cancel_all_, false) || stopping_;
  lock.unlock();
  for (Submission& submission : submissions) {
    try {
      engine_.submit(submission.id, std::move(submission.request), submission.listener);
    } catch (const std::exception& error) {
      // Checked before it came here: what fails now is the machine's (memory).
      GenerationUpdate update;
      update.id = submission.id;
      update.finished = true;
      update.reason = FinishReason::kError;
      update.error = error.what();
      if (submission.listener) submission.listener(update);
    }
  }
  for (const std::int64_t id : cancellations) engine_.cancel(id);
  if (cancel_all) engine_.cancel_all();
  for (const auto& function : functions) function();
  lock.lock();
}

void EngineThread::work() {
  std::unique_lock lock(mutex_);
  for (;;) {
    const auto messages = [this] {
      return !submissions_.empty() || !cancellations_.empty() || !functions_.empty() ||
             cancel_all_ || stopping_;
    };
    if (!busy_) {
      idle_.notify_all();
      news_.wait(lock, messages);
    }
    take_messages(lock);
    lock.unlock();
    bool more = false;
    try {
      more = engine_.step();
    } catch (const std::exception& error) {
      engine_.abort(error.what());
    }
    const EngineStatistics statistics = engine_.statistics();
    lock.lock();
    statistics_ = statistics;
    busy_ = more || !submissions_.empty();
    if (stopping_ && !busy_) return;
  }
}

}  // namespace tigerbot
