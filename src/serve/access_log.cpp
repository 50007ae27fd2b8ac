#include "serve/access_log.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <ctime>

#include "base/error.h"

namespace tigerbot::serve {

AccessLog::AccessLog(const std::string& path) {
  descriptor_ = path == "-" ? ::dup(STDERR_FILENO)
                            : ::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
  if (descriptor_ < 0) fail("{}: the access log can't be opened: {}", path, std::strerror(errno));
}

AccessLog::~AccessLog() { ::close(descriptor_); }

void AccessLog::write(const OrderedJson& line) {
  const std::string text =
      line.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
  const std::lock_guard lock(mutex_);
  std::size_t at = 0;
  while (at < text.size()) {
    const ssize_t now = ::write(descriptor_, text.data() + at, text.size() - at);
    if (now < 0 && errno == EINTR) continue;
    if (now <= 0) return;  // a full disk must not stop the service
    at += static_cast<std::size_t>(now);
  }
}

std::string utc_time() {
  timespec now{};
  ::clock_gettime(CLOCK_REALTIME, &now);
  tm parts{};
  ::gmtime_r(&now.tv_sec, &parts);
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z", parts.tm_year + 1900,
                     parts.tm_mon + 1, parts.tm_mday, parts.tm_hour, parts.tm_min, parts.tm_sec,
                     now.tv_nsec / 1'000'000);
}

}  // namespace tigerbot::serve
