#include "serve/http/server.h"

#include <fcntl.h>
#include <sys/resource.h>

#include <algorithm>
#include <atomic>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <optional>
#include <unordered_set>

#include "base/error.h"
#include "base/logging.h"
#include "serve/http/connection.h"

namespace tigerbot::serve {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;

namespace {

constexpr std::chrono::milliseconds kSweep{100};
constexpr int kWorkers = 2;

/// As many files as the system lets us have: each client is one.
void raise_file_limit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= limit.rlim_max) return;
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
}

asio::ip::address parse_address(const std::string& text) {
  if (text == "localhost") return asio::ip::make_address("127.0.0.1");
  error_code error;
  const asio::ip::address address = asio::ip::make_address(text, error);
  if (error) fail("--address: \"{}\" is no IP address; for instance 127.0.0.1 or 0.0.0.0", text);
  return address;
}

std::optional<asio::ssl::context> make_tls(const HttpServerOptions& options) {
  if (options.tls_certificate.empty() != options.tls_key.empty()) {
    fail("--tls-certificate and --tls-key go together");
  }
  if (options.tls_certificate.empty()) return std::nullopt;
  asio::ssl::context context(asio::ssl::context::tls_server);
  error_code error;
  context.set_options(asio::ssl::context::default_workarounds | asio::ssl::context::no_tlsv1 |
                      asio::ssl::context::no_tlsv1_1 | asio::ssl::context::no_compression);
  context.use_certificate_chain_file(options.tls_certificate, error);
  if (error) fail("{}: no PEM certificate: {}", options.tls_certificate, error.message());
  context.use_private_key_file(options.tls_key, asio::ssl::context::pem, error);
  if (error) {
    fail("{}: no private key in PEM for the certificate: {}", options.tls_key, error.message());
  }
  return context;
}

}  // namespace

bool is_loopback(const std::string& address) { return parse_address(address).is_loopback(); }

struct HttpServer::State {
  HttpServerOptions options;
  HttpHandler& handler;
  std::optional<asio::ssl::context> tls;
  asio::thread_pool workers{kWorkers};
  ConnectionContext context;  // before io, whose end is the end of the connections
  asio::io_context io{1};
  tcp::acceptor acceptor{io};
  asio::signal_set signals{io};
  asio::steady_timer sweep{io};
  std::vector<std::unique_ptr<asio::steady_timer>> timers;
  std::unordered_set<std::shared_ptr<Connection>> connections;
  std::function<void()> drained;
  std::shared_ptr<std::function<void()>> signal_loop;
  std::atomic<std::size_t> open = 0;
  std::atomic<std::size_t> buffered = 0;
  std::uint16_t port = 0;

  State(const HttpServerOptions& options_, HttpHandler& handler_)
      : options(options_),
        handler(handler_),
        tls(make_tls(options_)),
        context{io, workers, options, handler} {}

  void listen() {
    const tcp::endpoint endpoint(parse_address(options.address), options.port);
    error_code error;
    acceptor.open(endpoint.protocol(), error);
    if (!error) acceptor.set_option(tcp::acceptor::reuse_address(true), error);
    if (!error) acceptor.bind(endpoint, error);
    if (!error) acceptor.listen(4096, error);
    if (error) {
      fail("can't listen on {} port {}: {}; give another with --port", options.address,
           options.port, error.message());
    }
    ::fcntl(acceptor.native_handle(), F_SETFD, FD_CLOEXEC);
    port = acceptor.local_endpoint().port();
  }

  asio::awaitable<void> accept_forever() {
    while (acceptor.is_open()) {
      error_code error;
      tcp::socket socket =
          co_await acceptor.async_accept(asio::redirect_error(asio::use_awaitable, error));
      if (!acceptor.is_open()) co_return;
      if (error) {
        // Out of files, for instance: the next moment may be better.
        asio::steady_timer pause(io, std::chrono::milliseconds(50));
        error_code ignored;
        co_await pause.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
        continue;
      }
      begin(std::move(socket));
    }
  }

  void begin(tcp::socket socket) {
    error_code ignored;
    socket.set_option(tcp::no_delay(true), ignored);
    socket.set_option(asio::socket_base::keep_alive(true), ignored);
    const tcp::endpoint peer = socket.remote_endpoint(ignored);
    if (connections.size() >= options.max_connections) {
      const HttpResponse busy = handler.error(503, "too many connections; try again later");
      const std::string text = fmt::format(
          "HTTP/1.1 503 {}\r\ncontent-type: {}\r\ncontent-length: {}\r\nretry-after: 1\r\n"
          "connection: close\r\n\r\n{}",
          reason_phrase(503), busy.content_type, busy.body.size(), busy.body);
      socket.non_blocking(true, ignored);
      socket.write_some(asio::buffer(text), ignored);
      socket.shutdown(tcp::socket::shutdown_send, ignored);
      return;
    }
    auto stream =
        tls ? make_tls_stream(std::move(socket), *tls) : make_plain_stream(std::move(socket));
    auto connection =
        std::make_shared<Connection>(context, std::move(stream), peer.address().to_string());
    connections.insert(connection);
    open = connections.size();
    asio::co_spawn(
        io, [connection] { return connection->run(); },
        [this, connection](const std::exception_ptr& error) {
          if (error) {
            try {
              std::rethrow_exception(error);
            } catch (const std::exception& what) {
              log_error("a connection failed: {}", what.what());
            }
            connection->abort();
          }
          connections.erase(connection);
          open = connections.size();
          check_drained();
        });
  }

  void check_drained() {
    if (context.draining && connections.empty() && drained) std::exchange(drained, {})();
  }

  void sweep_later() {
    sweep.expires_after(kSweep);
    sweep.async_wait([this](error_code error) {
      if (error) return;
      buffered = context.buffered_bytes;
      const auto now = Connection::Clock::now();
      for (const auto& connection : connections) connection->check_deadlines(now);
      sweep_later();
    });
  }
};

HttpServer::HttpServer(const HttpServerOptions& options, HttpHandler& handler)
    : state_(std::make_unique<State>(options, handler)) {
  raise_file_limit();
  state_->listen();
}

HttpServer::~HttpServer() {
  state_->workers.join();
  state_->connections.clear();
}

std::uint16_t HttpServer::port() const { return state_->port; }

void HttpServer::run() {
  State& state = *state_;
  asio::co_spawn(
      state.io, [&state] { return state.accept_forever(); }, asio::detached);
  state.sweep_later();
  state.io.run();
}

void HttpServer::drain(std::function<void()> drained) {
  asio::post(state_->io, [state = state_.get(), drained = std::move(drained)]() mutable {
    error_code ignored;
    state->acceptor.close(ignored);
    state->context.draining = true;
    state->drained = std::move(drained);
    for (const auto& connection : state->connections) connection->drain();
    state->check_drained();
  });
}

void HttpServer::stop() { state_->io.stop(); }

void HttpServer::on_signals(std::initializer_list<int> signals, std::function<void(int)> function) {
  for (const int signal : signals) state_->signals.add(signal);
  // Again after each one.
  auto wait = std::make_shared<std::function<void()>>();
  *wait = [state = state_.get(), function = std::move(function), wait = wait.get()] {
    state->signals.async_wait([function, wait](error_code error, int signal) {
      if (error) return;
      function(signal);
      (*wait)();
    });
  };
  (*wait)();
  state_->signal_loop = std::move(wait);
}

void HttpServer::after(std::chrono::milliseconds delay, std::function<void()> function) {
  auto& timer =
      *state_->timers.emplace_back(std::make_unique<asio::steady_timer>(state_->io, delay));
  timer.async_wait([function = std::move(function)](error_code error) {
    if (!error) function();
  });
}

std::size_t HttpServer::connections() const { return state_->open; }
std::size_t HttpServer::buffered_bytes() const { return state_->buffered; }

}  // namespace tigerbot::serve
