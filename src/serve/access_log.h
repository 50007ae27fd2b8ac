#pragma once

#include <memory>
#include <mutex>
#include <string>

#include "serve/api/fields.h"

namespace tigerbot::serve {

/// One JSON object a line, a line a request.
class AccessLog {
 public:
  /// `path`: a file to append to, "-" for stderr. An Error if it can't be opened.
  explicit AccessLog(const std::string& path);
  ~AccessLog();
  AccessLog(const AccessLog&) = delete;
  AccessLog& operator=(const AccessLog&) = delete;

  void write(const OrderedJson& line);

 private:
  int descriptor_ = -1;
  std::mutex mutex_;
};

/// "2026-11-25T04:30:01.123Z", now.
std::string utc_time();

}  // namespace tigerbot::serve
