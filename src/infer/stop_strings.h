#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace tigerbot {

/// Cuts streamed text at the first stop string. Text that may be the beginning of one is held back
/// until it is clear.
class StopStrings {
 public:
  explicit StopStrings(std::vector<std::string> strings);

  /// Takes the next text; gives what is safe to show.
  std::string push(std::string_view text);
  /// What was held back, when no more text comes; empty after a stop.
  std::string finish();
  bool stopped() const { return stopped_; }

 private:
  std::vector<std::string> strings_;
  std::string held_;
  bool stopped_ = false;
};

}  // namespace tigerbot
