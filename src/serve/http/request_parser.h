#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>

#include "serve/http/body_decoder.h"
#include "serve/http/message.h"

namespace tigerbot::serve {

struct HttpLimits {
  std::size_t max_header_bytes = 16 * 1024;      ///< request line and all headers
  std::size_t max_body_bytes = 8 * 1024 * 1024;  ///< of one request
};

/// A request that is no proper HTTP, with the status to answer; the connection can't go on.
class HttpError : public std::runtime_error {
 public:
  HttpError(int status, const std::string& message)
      : std::runtime_error(message), status_(status) {}
  int status() const { return status_; }

 private:
  int status_;
};

/// Takes one HTTP/1.1 or 1.0 request from the bytes of a connection. Strict where proxies and
/// servers have disagreed about where a request ends: one Content-Length, or "chunked" alone, never
/// both; one Host.
class RequestParser {
 public:
  explicit RequestParser(const HttpLimits& limits);
  ~RequestParser();
  RequestParser(const RequestParser&) = delete;
  RequestParser& operator=(const RequestParser&) = delete;

  /// Takes what it can of the bytes not taken yet and gives how many; the rest is to be given again
  /// with what comes after. An HttpError as soon as the request is wrong or too large.
  std::size_t push(std::string_view bytes);

  /// Whether the head is there, and what it says (without the body).
  bool has_head() const { return body_.has_value(); }
  const HttpRequest& head() const { return request_; }
  /// Whether the client waits for "100 Continue" before it sends the body.
  bool expects_continue() const { return expects_continue_; }

  bool done() const { return body_ && body_->done(); }
  /// Bytes of the body so far.
  std::size_t body_bytes() const { return body_ ? body_->body().size() : 0; }
  /// The whole request, when done.
  HttpRequest take();

 private:
  void read_head();

  struct Parser;
  std::unique_ptr<Parser> parser_;
  HttpLimits limits_;
  HttpRequest request_;
  std::optional<BodyDecoder> body_;  // from the head on
  bool expects_continue_ = false;
};

/// The path and query of a request's target ("/a%20b?x=1", "http://host/a"); an HttpError where the
/// path is not UTF-8 after decoding, has control characters, backslashes or leads above the root.
struct Target {
  std::string path, query;
};
Target parse_target(std::string_view target);

}  // namespace tigerbot::serve
