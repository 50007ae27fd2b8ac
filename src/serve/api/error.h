#pragma once

#include <fmt/format.h>

#include <stdexcept>
#include <string>
#include <utility>

#include "serve/http/message.h"

namespace tigerbot::serve {

/// An answer to a request that can't be served, in the shape that OpenAI's clients read.
class ApiError : public std::runtime_error {
 public:
  ApiError(int status, std::string type, const std::string& message, std::string param = "",
           std::string code = "")
      : std::runtime_error(message),
        status_(status),
        type_(std::move(type)),
        param_(std::move(param)),
        code_(std::move(code)) {}

  int status() const { return status_; }
  const std::string& type() const { return type_; }
  const std::string& param() const { return param_; }  ///< empty: none
  const std::string& code() const { return code_; }    ///< empty: none
  int retry_after = 0;                                 ///< seconds; 0: not said

 private:
  int status_;
  std::string type_, param_, code_;
};

/// Refuses a request (400) for what its parameter says.
template <typename... Args>
[[noreturn]] void refuse_parameter(const std::string& param, fmt::format_string<Args...> format,
                                   Args&&... args) {
  throw ApiError(400, "invalid_request_error", fmt::format(format, std::forward<Args>(args)...),
                 param);
}

/// Refuses a parameter that is known to OpenAI's API and not to this server.
[[noreturn]] void refuse_unsupported(const std::string& param, const std::string& why);

/// {"error": {"message", "type", "param", "code"}}.
std::string error_body(const ApiError& error);
HttpResponse error_response(const ApiError& error);

/// The error of a status that is found below the API (HTTP itself).
ApiError plain_error(int status, const std::string& message);

}  // namespace tigerbot::serve
