#include "train/background_writer.h"

#include <exception>
#include <utility>

namespace tigerbot::train {

void BackgroundWriter::start(std::function<void()> work) {
  std::optional<std::string> before = wait();
  if (before) error_ = std::move(before);
  running_ = true;
  thread_ = std::thread([this, work = std::move(work)] {
    try {
      work();
    } catch (const std::exception& error) {
      error_ = error.what();
    }
    running_ = false;
  });
}

std::optional<std::string> BackgroundWriter::wait() {
  if (thread_.joinable()) thread_.join();
  return std::exchange(error_, std::nullopt);
}

std::optional<std::string> BackgroundWriter::poll() { return running_ ? std::nullopt : wait(); }

}  // namespace tigerbot::train
