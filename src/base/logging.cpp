#include "base/logging.h"

#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>

#include <cstdlib>
#include <memory>

#include "base/error.h"

namespace tigerbot {
namespace {

spdlog::level::level_enum spdlog_level(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug:
      return spdlog::level::debug;
    case LogLevel::kInfo:
      return spdlog::level::info;
    case LogLevel::kWarning:
      return spdlog::level::warn;
    case LogLevel::kError:
      return spdlog::level::err;
    case LogLevel::kOff:
      break;
  }
  return spdlog::level::off;
}

spdlog::logger& logger() {
  static spdlog::logger& instance = []() -> spdlog::logger& {
    // Never destroyed: destructors of other static objects may still log.
    auto* made =
        new spdlog::logger("tigerbot", std::make_shared<spdlog::sinks::stderr_color_sink_mt>());
    made->set_pattern("tigerbot: %^%l%$: %v");
    const char* wanted = std::getenv("TIGERBOT_LOG");
    made->set_level(spdlog_level(wanted && *wanted ? parse_log_level(wanted) : LogLevel::kWarning));
    return *made;
  }();
  return instance;
}

}  // namespace

LogLevel parse_log_level(std::string_view name) {
  if (name == "debug") return LogLevel::kDebug;
  if (name == "info") return LogLevel::kInfo;
  if (name == "warning") return LogLevel::kWarning;
  if (name == "error") return LogLevel::kError;
  if (name == "off") return LogLevel::kOff;
  fail("log level \"{}\" is unknown; use debug, info, warning, error or off", name);
}

void set_log_level(LogLevel level) { logger().set_level(spdlog_level(level)); }

LogLevel log_level() {
  switch (logger().level()) {
    case spdlog::level::trace:
    case spdlog::level::debug:
      return LogLevel::kDebug;
    case spdlog::level::info:
      return LogLevel::kInfo;
    case spdlog::level::warn:
      return LogLevel::kWarning;
    case spdlog::level::err:
    case spdlog::level::critical:
      return LogLevel::kError;
    default:
      return LogLevel::kOff;
  }
}

void log_message(LogLevel level, std::string_view message) {
  logger().log(spdlog_level(level), "{}", message);
}

}  // namespace tigerbot
