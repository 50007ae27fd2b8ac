#pragma once

namespace tigerbot::train {

/// While it lives, SIGINT and SIGTERM do not end the process but are remembered. A second one ends
/// it at once.
class StopSignal {
 public:
  StopSignal();
  ~StopSignal();
  StopSignal(const StopSignal&) = delete;
  StopSignal& operator=(const StopSignal&) = delete;

  /// The name of the signal that came, or nullptr.
  const char* received() const;
};

}  // namespace tigerbot::train
