#include "base/logging.h"

#include <gtest/gtest.h>

#include "base/expect_error.h"

namespace tigerbot {
namespace {

TEST(Logging, WritesToStderrFromTheLevelOn) {
  const LogLevel before = log_level();
  set_log_level(LogLevel::kInfo);
  ::testing::internal::CaptureStderr();
  ::testing::internal::CaptureStdout();
  log_debug("not {}", "shown");
  log_info("{} layers", 30);
  log_error("{{}}");
  const std::string text = ::testing::internal::GetCapturedStderr();
  EXPECT_EQ(::testing::internal::GetCapturedStdout(), "");
  EXPECT_EQ(text, "tigerbot: info: 30 layers\ntigerbot: error: {}\n");
  set_log_level(LogLevel::kOff);
  EXPECT_EQ(log_level(), LogLevel::kOff);
  set_log_level(before);
}

TEST(Logging, LevelsHaveNames) {
  EXPECT_EQ(parse_log_level("warning"), LogLevel::kWarning);
  EXPECT_NE(testing::error_of([] { parse_log_level("loud"); }).find("use debug"),
            std::string::npos);
}

}  // namespace
}  // namespace tigerbot
