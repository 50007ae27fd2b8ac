#pragma once

#include <fmt/format.h>

#include <stdexcept>
#include <string>
#include <utility>

namespace tigerbot {

/// What went wrong, where, and what to do about it: one line, shown to the user as
/// `tigerbot: <message>`. Thrown by the layer that knows.
class Error : public std::runtime_error {
 public:
  /// Whose mistake it was decides the exit status.
  enum class Kind {
    kUser,     ///< bad input, option, file or model: exit status 2
    kFailure,  ///< the machine or the program failed: exit status 1
  };

  explicit Error(const std::string& message, Kind kind = Kind::kUser)
      : std::runtime_error(message), kind_(kind) {}

  Kind kind() const noexcept { return kind_; }
  int exit_status() const noexcept { return kind_ == Kind::kUser ? 2 : 1; }

 private:
  Kind kind_;
};

/// Throws an Error of the user's kind with a formatted message.
template <typename... Args>
[[noreturn]] void fail(fmt::format_string<Args...> format, Args&&... args) {
  throw Error(fmt::format(format, std::forward<Args>(args)...));
}

/// Throws an Error of the failure kind with a formatted message.
template <typename... Args>
[[noreturn]] void fail_internal(fmt::format_string<Args...> format, Args&&... args) {
  throw Error(fmt::format(format, std::forward<Args>(args)...), Error::Kind::kFailure);
}

}  // namespace tigerbot
