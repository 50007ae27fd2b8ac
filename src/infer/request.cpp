#include "infer/request.h"

namespace tigerbot {

std::string_view finish_reason_name(FinishReason reason) {
  switch (reason) {
    case FinishReason::kStop:
      return "stop";
    case FinishReason::kLength:
      return "length";
    case FinishReason::kCancelled:
      return "cancelled";
    case FinishReason::kTimeout:
      return "timeout";
    case FinishReason::kError:
      return "error";
  }
  return "";
}

std::string queue_full_message(std::int64_t max_waiting) {
  return fmt::format("{} requests wait already, and no more may; try again later", max_waiting);
}

}  // namespace tigerbot
