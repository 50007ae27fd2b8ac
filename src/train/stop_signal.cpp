#include "train/stop_signal.h"

#include <csignal>

namespace tigerbot::train {
namespace {

volatile std::sig_atomic_t pending = 0;

void remember(int signal) {
  if (pending != 0) {
    std::signal(signal, SIG_DFL);
    std::raise(signal);
  }
  pending = signal;
}

}  // namespace

StopSignal::StopSignal() {
  pending = 0;
  std::signal(SIGINT, remember);
  std::signal(SIGTERM, remember);
}

StopSignal::~StopSignal() {
  std::signal(SIGINT, SIG_DFL);
  std::signal(SIGTERM, SIG_DFL);
}

const char* StopSignal::received() const {
  if (pending == 0) return nullptr;
  return pending == SIGINT ? "SIGINT" : "SIGTERM";
}

}  // namespace tigerbot::train
