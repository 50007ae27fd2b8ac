#include "serve/api/error.h"

#include <nlohmann/json.hpp>

namespace tigerbot::serve {

namespace {

nlohmann::ordered_json or_null(const std::string& text) {
  if (text.empty()) return nullptr;
  return text;
}

}  // namespace

void refuse_unsupported(const std::string& param, const std::string& why) {
  throw ApiError(400, "invalid_request_error",
                 fmt::format("Unsupported parameter: '{}': {}", param, why), param,
                 "unsupported_parameter");
}

std::string error_body(const ApiError& error) {
  const nlohmann::ordered_json body = {{"error",
                                        {{"message", error.what()},
                                         {"type", error.type()},
                                         {"param", or_null(error.param())},
                                         {"code", or_null(error.code())}}}};
  return body.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

HttpResponse error_response(const ApiError& error) {
  HttpResponse response;
  response.status = error.status();
  response.body = error_body(error);
  if (error.retry_after > 0) {
    response.headers.emplace_back("retry-after", std::to_string(error.retry_after));
  }
  if (error.status() == 401) response.headers.emplace_back("www-authenticate", "Bearer");
  return response;
}

ApiError plain_error(int status, const std::string& message) {
  if (status == 401) return {status, "authentication_error", message, "", "invalid_api_key"};
  if (status == 429) return {status, "rate_limit_error", message, "", "rate_limit_exceeded"};
  ApiError error(status, status >= 500 ? "server_error" : "invalid_request_error", message);
  if (status == 503) error.retry_after = 1;
  return error;
}

}  // namespace tigerbot::serve
