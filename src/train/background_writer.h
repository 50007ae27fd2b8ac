#pragma once

#include <atomic>
#include <functional>
#include <optional>
#include <string>
#include <thread>

namespace tigerbot::train {

/// Runs one piece of work at a time beside the training: the writing of a checkpoint.
class BackgroundWriter {
 public:
  ~BackgroundWriter() { wait(); }

  /// Waits for the work before, then begins this. The result of wait() tells of its failure.
  void start(std::function<void()> work);

  /// Waits until nothing runs; the message of an error since the last call, if there was one.
  std::optional<std::string> wait();

  /// The message of an error of work that is done, without waiting.
  std::optional<std::string> poll();

 private:
  std::thread thread_;
  std::atomic<bool> running_ = false;
  std::optional<std::string> error_;
};

}  // namespace tigerbot::train
