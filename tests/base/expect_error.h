#pragma once

#include <gtest/gtest.h>

#include <string>

#include "base/error.h"

namespace tigerbot::testing {

/// The message of the tigerbot::Error that `action` throws; a test failure, and "", if it throws
/// none or something else. The message must be one line.
template <typename Action>
std::string error_of(Action&& action) {
  try {
    action();
  } catch (const Error& error) {
    const std::string message = error.what();
    EXPECT_EQ(message.find('\n'), std::string::npos) << message;
    return message;
  } catch (const std::exception& error) {
    ADD_FAILURE() << "not a tigerbot::Error: " << error.what();
    return "";
  }
  ADD_FAILURE() << "no error was thrown";
  return "";
}

}  // namespace tigerbot::testing
