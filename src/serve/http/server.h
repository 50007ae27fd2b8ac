#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "serve/http/message.h"
#include "serve/http/request_parser.h"

namespace tigerbot::serve {

struct HttpServerOptions {
  std::string address = "127.0.0.1";
  std::uint16_t port = 8080;  ///< 0: any free one
  std::size_t max_connections = 2048;
  HttpLimits limits;
  /// Bytes of all requests that are being read together.
  std::size_t max_buffered_bytes = 256 * 1024 * 1024;
  std::chrono::milliseconds header_timeout{10'000};  ///< from the first byte to the head's end
  std::chrono::milliseconds body_timeout{60'000};
  std::chrono::milliseconds idle_timeout{75'000};   ///< between requests
  std::chrono::milliseconds write_timeout{30'000};  ///< for a client to take what is written to it
  /// PEM files; both or neither.
  std::string tls_certificate, tls_key;
};

/// An HTTP/1.1 server: one thread for all connections, two for large requests.
class HttpServer {
 public:
  /// Begins to listen; an Error where it can't. `handler` must outlive the server.
  HttpServer(const HttpServerOptions& options, HttpHandler& handler);
  ~HttpServer();
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;

  std::uint16_t port() const;

  /// Serves until stop().
  void run();

  /// From any thread: no new connections; those that are idle end, the others after the answer they
  /// are at; `drained` is called on the server's thread when the last one has ended.
  void drain(std::function<void()> drained);

  /// From any thread: ends everything; run() returns.
  void stop();

  /// Calls `function` on the server's thread at each of these signals. Before run().
  void on_signals(std::initializer_list<int> signals, std::function<void(int)> function);

  /// Calls `function` on the server's thread once, after `delay`.
  void after(std::chrono::milliseconds delay, std::function<void()> function);

  std::size_t connections() const;     ///< open now
  std::size_t buffered_bytes() const;  ///< of requests that are being read or answered

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// Whether an address is the machine's own ("127.0.0.1", "::1", "localhost").
bool is_loopback(const std::string& address);

}  // namespace tigerbot::serve
