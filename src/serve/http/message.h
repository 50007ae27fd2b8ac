#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace tigerbot::serve {

/// A header's name in lower case and its value.
using Headers = std::vector<std::pair<std::string, std::string>>;

struct HttpRequest {
  std::string method;        ///< as sent: "GET"
  std::string path;          ///< decoded, absolute, without "." and ".." segments
  std::string query;         ///< what stands after "?", as sent
  Headers headers;           ///< in the order in which they came
  std::string body;          ///< whole; empty while only the head is there
  std::string client;        ///< the peer's address, without the port
  std::string id;            ///< of this request, for logs and the x-request-id header
  std::uint64_t serial = 0;  ///< different for every request of a server
  bool keep_alive = true;
  bool knows_chunks = true;                          ///< HTTP/1.1
  std::chrono::steady_clock::time_point received{};  ///< when it was whole

  /// The value of a header (its name in lower case); nullptr if it is missing.
  const std::string* header(std::string_view name) const {
    for (const auto& [key, value] : headers) {
      if (key == name) return &value;
    }
    return nullptr;
  }
};

struct HttpResponse {
  int status = 200;
  std::string content_type = "application/json";
  std::string body{};
  Headers headers{};
};

/// An answer in the making. The connection asks for news until there are no more, and destroys it
/// early when its client goes away.
class PendingAnswer {
 public:
  virtual ~PendingAnswer() = default;

  struct News {
    /// Status and headers; before or with the first bytes of the body. Its body is not used.
    std::optional<HttpResponse> head;
    std::string body;  ///< what comes next
    bool ended = false;
  };

  /// Called once, before poll(). `notify` may be called from any thread, also after this object is
  /// gone: poll() then has something new.
  virtual void start(std::function<void()> notify) = 0;

  /// What is new since the last call. An answer whose head comes together with its end is sent
  /// whole, with its length; any other one is streamed.
  virtual News poll() = 0;
};

/// What a handler makes of a request: an answer now, or one in the making.
using Reply = std::variant<HttpResponse, std::unique_ptr<PendingAnswer>>;

/// What became of a request, for logs.
struct ExchangeRecord {
  int status = 0;
  std::size_t bytes = 0;  ///< of the answer's body
  double seconds = 0;
  bool client_gone = false;  ///< before the answer's end
};

/// What a server does with requests. Called from its thread, and for large requests from worker
/// threads: several calls may run at once.
class HttpHandler {
 public:
  virtual ~HttpHandler() = default;

  /// Looks at a request before its body is read; an answer here ends it.
  virtual std::optional<HttpResponse> refuse(const HttpRequest& head) = 0;

  /// Must not throw.
  virtual Reply handle(const HttpRequest& request) = 0;

  /// The body of errors that are found before there is a request.
  virtual HttpResponse error(int status, const std::string& message) = 0;

  /// Adds what every answer carries, before its head is written.
  virtual void decorate(const HttpRequest& request, HttpResponse& response) = 0;

  /// After the end of an exchange, for logs. `request` may be empty but for the client.
  virtual void finished(const HttpRequest& request, const ExchangeRecord& record) = 0;
};

/// "Not Found" for 404.
std::string_view reason_phrase(int status);

}  // namespace tigerbot::serve
