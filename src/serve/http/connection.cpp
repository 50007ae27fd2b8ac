#include "serve/http/connection.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <exception>

#include "serve/request_id.h"

namespace tigerbot::serve {

namespace asio = boost::asio;

namespace {

/// What a client may send ahead of the request that is being answered.
constexpr std::size_t kInputBytes = 64 * 1024;
/// A client must take so many bytes within the write timeout.
constexpr std::size_t kWriteBytes = 64 * 1024;
/// A request larger than this is handled by the worker threads, so that other clients don't wait.
constexpr std::size_t kInlineBytes = 32 * 1024;

}  // namespace

asio::awaitable<void> Event::wait() {
  if (!set_) {
    boost::system::error_code cancelled;
    co_await timer_.async_wait(asio::redirect_error(asio::use_awaitable, cancelled));
  }
  set_ = false;
}

Connection::Connection(ConnectionContext& context, std::unique_ptr<ByteStream> stream,
                       std::string client)
    : context_(context),
      stream_(std::move(stream)),
      client_(std::move(client)),
      input_event_(context.io),
      space_event_(context.io),
      answer_event_(context.io) {}

Connection::~Connection() { set_buffered(0); }

void Connection::set_buffered(std::size_t bytes) {
  context_.buffered_bytes += bytes - buffered_;
  buffered_ = bytes;
}

void Connection::abort() {
  broken_ = true;
  ended_ = true;
  stream_->close();
  input_event_.notify();
  space_event_.notify();
  answer_event_.notify();
}

void Connection::drain() {
  keep_alive_ = false;
  if (!in_request_) abort();
}

void Connection::check_deadlines(Clock::time_point now) {
  if (now >= write_deadline_) {
    abort();
  } else if (now >= read_deadline_) {
    read_deadline_ = Clock::time_point::max();
    timed_out_ = true;
    if (in_request_) {
      input_event_.notify();
    } else {
      abort();
    }
  }
}

asio::awaitable<void> Connection::run() {
  const std::shared_ptr<Connection> self = shared_from_this();
  read_deadline_ = Clock::now() + context_.options.header_timeout;
  const bool open = co_await stream_->handshake();
  if (open) {
    asio::co_spawn(
        context_.io, [self]() { return self->read_forever(); }, asio::detached);
    co_await serve_requests();
    if (!broken_) {
      // What the client still sends is read and dropped for a moment: closing a socket with unread
      // bytes would destroy the answer on its way.
      write_deadline_ = Clock::now() + std::chrono::seconds(2);
      co_await stream_->end();
      while (!ended_) {
        input_.clear();
        space_event_.notify();
        co_await input_event_.wait();
      }
    }
  }
  abort();
}

asio::awaitable<void> Connection::read_forever() {
  const std::shared_ptr<Connection> self = shared_from_this();
  std::string buffer(16 * 1024, '\0');
  while (!ended_) {
    while (input_.size() >= kInputBytes && !ended_) co_await space_event_.wait();
    const std::size_t bytes = co_await stream_->read_some(asio::buffer(buffer));
    if (bytes == 0) {
      ended_ = true;
      answer_event_.notify();
    }
    input_.append(buffer.data(), bytes);
    input_event_.notify();
  }
}

asio::awaitable<std::optional<HttpRequest>> Connection::read_request() {
  read_deadline_ = Clock::now() + context_.options.idle_timeout;
  while (input_.empty()) {
    if (ended_ || broken_ || context_.draining) co_return std::nullopt;
    co_await input_event_.wait();
  }
  in_request_ = true;
  timed_out_ = false;
  read_deadline_ = Clock::now() + context_.options.header_timeout;
  RequestParser parser(context_.options.limits);
  const std::string id = make_request_id();
  bool judged = false;
  HttpRequest failed;
  std::optional<HttpResponse> refusal;
  while (!refusal) {
    try {
      input_.erase(0, parser.push(input_));
    } catch (const HttpError& error) {
      refusal = context_.handler.error(error.status(), error.what());
      break;
    }
    space_event_.notify();
    if (parser.has_head() && !judged) {
      judged = true;
      HttpRequest head = parser.head();
      head.client = client_;
      head.id = choose_request_id(head.header("x-request-id"), id);
      refusal = context_.handler.refuse(head);
      if (refusal) {
        failed = std::move(head);
        break;
      }
      read_deadline_ = Clock::now() + context_.options.body_timeout;
      if (parser.expects_continue() && !parser.done() && input_.empty()) {
        const bool written = co_await write("HTTP/1.1 100 Continue\r\n\r\n");
        if (!written) co_return std::nullopt;
      }
    }
    if (parser.done()) break;
    set_buffered(parser.body_bytes());
    if (context_.buffered_bytes > context_.options.max_buffered_bytes) {
      refusal = context_.handler.error(503, "too many large requests at once; try again later");
    } else if (timed_out_) {
      refusal = context_.handler.error(408, "the request did not come in time");
    } else if (ended_ || broken_) {
      co_return std::nullopt;
    } else {
      co_await input_event_.wait();
    }
  }
  read_deadline_ = Clock::time_point::max();
  if (refusal) {
    failed.client = client_;
    if (failed.id.empty()) failed.id = id;
    co_await refuse(std::move(failed), std::move(*refusal));
    co_return std::nullopt;
  }
  HttpRequest request = parser.take();
  set_buffered(request.body.size());
  request.client = client_;
  request.id = choose_request_id(request.header("x-request-id"), id);
  request.received = Clock::now();
  request.serial = ++context_.requests;
  co_return request;
}

asio::awaitable<void> Connection::refuse(HttpRequest request, HttpResponse response) {
  keep_alive_ = false;
  ExchangeRecord record;
  co_await send(request, std::move(response), record);
  context_.handler.finished(request, record);
}

asio::awaitable<void> Connection::serve_requests() {
  while (keep_alive_ && !broken_) {
    in_request_ = false;
    const std::optional<HttpRequest> request = co_await read_request();
    if (!request) co_return;
    keep_alive_ = keep_alive_ && request->keep_alive && !context_.draining;
    Reply reply = co_await handle(*request);
    co_await answer(*request, std::move(reply));
    set_buffered(0);
  }
}

asio::awaitable<Reply> Connection::handle(const HttpRequest& request) {
  if (request.body.size() <= kInlineBytes) co_return context_.handler.handle(request);
  // The lambda holds references only: this coroutine waits for it.
  std::optional<Reply> reply;
  Event done(context_.io);
  const auto self = shared_from_this();
  asio::post(context_.workers, [&, this, self] {
    reply = context_.handler.handle(request);
    asio::post(context_.io, [&done, self] { done.notify(); });
  });
  while (!reply) co_await done.wait();
  co_return std::move(*reply);
}

asio::awaitable<bool> Connection::write(std::string_view bytes) {
  while (!bytes.empty() && !broken_) {
    const std::size_t now = std::min(bytes.size(), kWriteBytes);
    write_deadline_ = Clock::now() + context_.options.write_timeout;
    const bool written = co_await stream_->write(asio::buffer(bytes.data(), now));
    if (!written) broken_ = true;
    bytes.remove_prefix(now);
  }
  write_deadline_ = Clock::time_point::max();
  co_return !broken_;
}

std::string Connection::head_text(const HttpRequest& request, const HttpResponse& response,
                                  bool chunked, bool close_delimited) const {
  std::string head =
      fmt::format("HTTP/1.1 {} {}\r\n", response.status, reason_phrase(response.status));
  const auto add = [&head](std::string_view name, std::string_view value) {
    head += name;
    head += ": ";
    head += value;
    head += "\r\n";
  };
  if (!response.content_type.empty()) add("content-type", response.content_type);
  if (chunked) {
    add("transfer-encoding", "chunked");
  } else if (!close_delimited && response.status != 204 && response.status != 304) {
    add("content-length", std::to_string(response.body.size()));
  }
  if (!request.id.empty()) add("x-request-id", request.id);
  add("x-content-type-options", "nosniff");
  if (!keep_alive_ || close_delimited) add("connection", "close");
  for (const auto& [name, value] : response.headers) add(name, value);
  head += "\r\n";
  return head;
}

asio::awaitable<void> Connection::send(const HttpRequest& request, HttpResponse response,
                                       ExchangeRecord& record) {
  context_.handler.decorate(request, response);
  std::string text = head_text(request, response, /*chunked=*/false, /*close_delimited=*/false);
  const bool has_body =
      request.method != "HEAD" && response.status != 204 && response.status != 304;
  if (has_body) text += response.body;
  record.status = response.status;
  const bool written = co_await write(text);
  record.client_gone = !written;
  if (has_body) record.bytes = response.body.size();
}

asio::awaitable<void> Connection::send_pending(const HttpRequest& request, PendingAnswer& pending,
                                               ExchangeRecord& record) {
  // One post at a time: a busy server wakes once for many tokens.
  struct Wake {
    std::weak_ptr<Connection> connection;
    std::atomic<bool> posted = false;
  };
  const auto wake = std::make_shared<Wake>();
  wake->connection = weak_from_this();
  pending.start([wake, &io = context_.io] {
    if (wake->posted.exchange(true)) return;
    asio::post(io, [wake] {
      wake->posted = false;
      if (const auto connection = wake->connection.lock()) connection->answer_event_.notify();
    });
  });
  bool chunked = false;
  bool streaming = false;
  while (true) {
    PendingAnswer::News news = pending.poll();
    if (news.head && news.ended) {
      news.head->body = std::move(news.body);
      co_await send(request, std::move(*news.head), record);
      co_return;
    }
    std::string text;
    if (news.head) {
      chunked = request.knows_chunks;
      if (!chunked) keep_alive_ = false;
      streaming = true;
      record.status = news.head->status;
      context_.handler.decorate(request, *news.head);
      text = head_text(request, *news.head, chunked, /*close_delimited=*/!chunked);
    }
    record.bytes += news.body.size();
    if (!news.body.empty()) {
      if (chunked) {
        text += fmt::format("{:x}\r\n", news.body.size());
        text += news.body;
        text += "\r\n";
      } else {
        text += news.body;
      }
    }
    if (news.ended && chunked) text += "0\r\n\r\n";
    if (!text.empty()) {
      const bool written = co_await write(text);
      if (!written) break;
    }
    if (news.ended) co_return;
    if (ended_ || broken_) break;
    if (text.empty()) co_await answer_event_.wait();
  }
  record.client_gone = true;
  if (!streaming) record.status = 499;  // as nginx calls it
  broken_ = true;
}

asio::awaitable<void> Connection::answer(const HttpRequest& request, Reply reply) {
  ExchangeRecord record;
  if (auto* response = std::get_if<HttpResponse>(&reply)) {
    co_await send(request, std::move(*response), record);
  } else {
    auto& pending = std::get<std::unique_ptr<PendingAnswer>>(reply);
    co_await send_pending(request, *pending, record);
    pending.reset();
  }
  record.seconds = std::chrono::duration<double>(Clock::now() - request.received).count();
  context_.handler.finished(request, record);
}

}  // namespace tigerbot::serve
