#pragma once

#include <atomic>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/thread_pool.hpp>
#include <chrono>
#include <cstdint>
#include <memory>
#include <string>

#include "serve/http/byte_stream.h"
#include "serve/http/server.h"

namespace tigerbot::serve {

/// Wakes one coroutine. All on the server's thread.
class Event {
 public:
  explicit Event(boost::asio::io_context& context)
      : timer_(context, boost::asio::steady_timer::time_point::max()) {}

  /// Returns after notify(), at once if that was called since the last wait.
  boost::asio::awaitable<void> wait();
  void notify() {
    set_ = true;
    timer_.cancel();
  }

 private:
  boost::asio::steady_timer timer_;
  bool set_ = false;
};

/// What the connections of a server share.
struct ConnectionContext {
  boost::asio::io_context& io;
  boost::asio::thread_pool& workers;
  const HttpServerOptions& options;
  HttpHandler& handler;
  std::size_t buffered_bytes = 0;
  bool draining = false;
  std::uint64_t requests = 0;
};

/// One client: reads requests, has them answered one after the other, and notices at once when the
/// client goes away.
class Connection : public std::enable_shared_from_this<Connection> {
 public:
  using Clock = std::chrono::steady_clock;

  Connection(ConnectionContext& context, std::unique_ptr<ByteStream> stream, std::string client);
  ~Connection();

  /// Serves until the connection ends.
  boost::asio::awaitable<void> run();

  /// Ends what has waited too long. Called every now and then.
  void check_deadlines(Clock::time_point now);

  /// Ends the connection if no request is under way, else after its answer.
  void drain();

  /// Ends everything at once.
  void abort();

 private:
  boost::asio::awaitable<void> read_forever();
  boost::asio::awaitable<void> serve_requests();
  /// A request, or nothing where the connection is to end.
  boost::asio::awaitable<std::optional<HttpRequest>> read_request();
  boost::asio::awaitable<Reply> handle(const HttpRequest& request);
  boost::asio::awaitable<void> answer(const HttpRequest& request, Reply reply);
  boost::asio::awaitable<void> send_pending(const HttpRequest& request, PendingAnswer& pending,
                                            ExchangeRecord& record);
  boost::asio::awaitable<void> send(const HttpRequest& request, HttpResponse response,
                                    ExchangeRecord& record);
  boost::asio::awaitable<void> refuse(HttpRequest request, HttpResponse response);
  boost::asio::awaitable<bool> write(std::string_view bytes);
  std::string head_text(const HttpRequest& request, const HttpResponse& response, bool chunked,
                        bool close_delimited) const;
  void set_buffered(std::size_t bytes);

  ConnectionContext& context_;
  std::unique_ptr<ByteStream> stream_;
  std::string client_;
  Event input_event_;   // bytes came, or the end, or a deadline passed
  Event space_event_;   // there is room in input_ again
  Event answer_event_;  // the pending answer has news, or the client is gone
  std::string input_;
  bool ended_ = false;       // the client sends no more
  bool broken_ = false;      // nothing can be written any more
  bool timed_out_ = false;   // the present request took too long to come
  bool in_request_ = false;  // from the first byte of a request to the end of its answer
  bool keep_alive_ = true;
  std::size_t buffered_ = 0;  // bytes of the present request
  Clock::time_point read_deadline_ = Clock::time_point::max();
  Clock::time_point write_deadline_ = Clock::time_point::max();
};

}  // namespace tigerbot::serve
