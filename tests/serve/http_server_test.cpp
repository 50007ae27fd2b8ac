#include <gtest/gtest.h>

#include <atomic>
#include <condition_variable>
#include <deque>
#include <thread>

#include "serve/http/server.h"
#include "serve/http_client.h"

namespace tigerbot::serve {
namespace {

using namespace std::chrono_literals;

/// A streamed answer whose parts the test gives.
struct Stream {
  std::mutex mutex;
  std::condition_variable changed;
  std::deque<std::string> parts;
  bool ended = false;
  bool started = false;
  bool gone = false;
  std::function<void()> notify;

  void push(std::string part, bool last = false) {
    const std::lock_guard lock(mutex);
    parts.push_back(std::move(part));
    ended = last;
    if (notify) notify();
  }
  void wait_for(bool Stream::*flag) {
    std::unique_lock lock(mutex);
    changed.wait(lock, [&] { return this->*flag; });
  }
};

class StreamAnswer : public PendingAnswer {
 public:
  explicit StreamAnswer(Stream& stream) : stream_(stream) {}
  ~StreamAnswer() override {
    const std::lock_guard lock(stream_.mutex);
    stream_.notify = nullptr;
    stream_.gone = true;
    stream_.changed.notify_all();
  }
  void start(std::function<void()> notify) override {
    const std::lock_guard lock(stream_.mutex);
    stream_.notify = std::move(notify);
    stream_.started = true;
    stream_.changed.notify_all();
  }
  News poll() override {
    const std::lock_guard lock(stream_.mutex);
    News news;
    while (!stream_.parts.empty()) {
      news.body += stream_.parts.front();
      stream_.parts.pop_front();
    }
    news.ended = stream_.ended;
    if (!sent_ && !news.body.empty()) {
      sent_ = true;
      news.head = HttpResponse{200, "text/plain"};
    }
    return news;
  }

 private:
  Stream& stream_;
  bool sent_ = false;
};

/// Says back what came; "/stream" streams.
class EchoHandler : public HttpHandler {
 public:
  Stream stream;
  std::mutex mutex;
  std::vector<std::pair<HttpRequest, ExchangeRecord>> records;

  std::optional<HttpResponse> refuse(const HttpRequest& head) override {
    if (head.path == "/forbidden") return HttpResponse{403, "text/plain", "no"};
    return std::nullopt;
  }
  Reply handle(const HttpRequest& request) override {
    if (request.path == "/stream") return std::make_unique<StreamAnswer>(stream);
    if (request.path == "/large")
      return HttpResponse{200, "text/plain", std::string(64 << 20, 'x')};
    return HttpResponse{200, "text/plain",
                        request.method + " " + request.path + " " + request.body};
  }
  HttpResponse error(int status, const std::string& message) override {
    return {status, "text/plain", message};
  }
  void decorate(const HttpRequest&, HttpResponse&) override {}
  void finished(const HttpRequest& request, const ExchangeRecord& record) override {
    const std::lock_guard lock(mutex);
    records.emplace_back(request, record);
  }
};

class HttpServerTest : public ::testing::Test {
 protected:
  void start(HttpServerOptions options = {}) {
    options.port = 0;
    server_ = std::make_unique<HttpServer>(options, handler_);
    thread_ = std::thread([this] { server_->run(); });
  }
  ~HttpServerTest() override {
    if (!server_) return;
    server_->stop();
    thread_.join();
  }
  std::uint16_t port() const { return server_->port(); }

  EchoHandler handler_;
  std::unique_ptr<HttpServer> server_;
  std::thread thread_;
};

TEST_F(HttpServerTest, AnswersManyRequestsOnOneConnectionInOrder) {
  start();
  RawClient client(port());
  std::string all;
  for (int i = 0; i < 50; ++i) {
    all += "POST /" + std::to_string(i) + " HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi";
  }
  client.send(all + "GET /end HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
  const std::string answers = client.receive_all();
  std::size_t at = 0;
  for (int i = 0; i < 50; ++i) {
    at = answers.find("POST /" + std::to_string(i) + " hi", at);
    ASSERT_NE(at, std::string::npos) << i;
  }
  EXPECT_NE(answers.find("GET /end", at), std::string::npos);
}

TEST_F(HttpServerTest, GivesEachRequestAnIdOrTakesTheClients) {
  start();
  const auto own = request(port(), "GET", "/");
  EXPECT_TRUE(own.header("x-request-id").starts_with("req_"));
  EXPECT_EQ(request(port(), "GET", "/", "", {{"X-Request-Id", "abc-1"}}).header("x-request-id"),
            "abc-1");
  EXPECT_TRUE(request(port(), "GET", "/", "", {{"X-Request-Id", "a b"}})
                  .header("x-request-id")
                  .starts_with("req_"));
}

TEST_F(HttpServerTest, RefusesBadRequestsAndClosesTheConnection) {
  start();
  for (const auto& [bytes, status] : std::vector<std::pair<std::string, int>>{
           {"nonsense\r\n\r\n", 400},
           {"GET /../x HTTP/1.1\r\nHost: a\r\n\r\n", 400},
           {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n",
            400},
           {"GET / HTTP/1.1\r\nHost: a\r\nX: " + std::string(20000, 'a') + "\r\n\r\n", 431},
           {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999\r\n\r\n", 413},
           {"GET / HTTP/3.0\r\nHost: a\r\n\r\n", 505},
           {"POST /forbidden HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n", 403}}) {
    RawClient client(port());
    client.send(bytes + "GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n");
    const std::string answer = client.receive_all();
    EXPECT_EQ(parse_answer(answer).status, status) << bytes.substr(0, 60);
    EXPECT_EQ(parse_answer(answer).header("connection"), "close");
    EXPECT_EQ(answer.find("smuggled"), std::string::npos);
  }
}

TEST_F(HttpServerTest, LargeRequestsAreAnsweredToo) {
  start();
  const std::string body(1 << 20, 'b');
  const auto answer = request(port(), "POST", "/big", body, {{"Expect", "100-continue"}});
  EXPECT_EQ(answer.status, 100);
  EXPECT_NE(answer.body.find("POST /big " + body), std::string::npos);
}

TEST_F(HttpServerTest, StreamsInChunksAsTheyCome) {
  start();
  RawClient client(port());
  client.send("GET /stream HTTP/1.1\r\nHost: a\r\n\r\n");
  handler_.stream.wait_for(&Stream::started);
  handler_.stream.push("one");
  std::string got = client.receive_until("one\r\n");
  handler_.stream.push("two");
  got += client.receive_until("two\r\n");
  handler_.stream.push("three", true);
  got += client.receive_until("0\r\n\r\n");
  EXPECT_EQ(parse_answer(got).body, "onetwothree");
  // And the connection goes on.
  client.send("GET /next HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
  EXPECT_NE(client.receive_all().find("GET /next"), std::string::npos);
}

TEST_F(HttpServerTest, HttpOneZeroGetsAStreamWithoutChunks) {
  start();
  RawClient client(port());
  client.send("GET /stream HTTP/1.0\r\n\r\n");
  handler_.stream.wait_for(&Stream::started);
  handler_.stream.push("one");
  const std::string first = client.receive_until("one");
  handler_.stream.push("two", true);
  EXPECT_TRUE((first + client.receive_all()).ends_with("\r\n\r\nonetwo"));
}

TEST_F(HttpServerTest, AClientThatGoesAwayEndsItsAnswerAtOnce) {
  start();
  for (const bool after_first : {false, true}) {
    handler_.stream.started = handler_.stream.gone = false;
    RawClient client(port());
    client.send("GET /stream HTTP/1.1\r\nHost: a\r\n\r\n");
    handler_.stream.wait_for(&Stream::started);
    if (after_first) {
      handler_.stream.push("one");
      client.receive_until("one");
    }
    client.close();
    handler_.stream.wait_for(&Stream::gone);  // no further token was needed to find out
  }
  const std::lock_guard lock(handler_.mutex);
  ASSERT_GE(handler_.records.size(), 1U);
  EXPECT_TRUE(handler_.records.front().second.client_gone);
}

TEST_F(HttpServerTest, SlowClientsAreSentAway) {
  HttpServerOptions options;
  options.header_timeout = options.body_timeout = options.write_timeout = 200ms;
  start(options);
  RawClient half_head(port());
  half_head.send("GET / HT");
  EXPECT_EQ(parse_answer(half_head.receive_all()).status, 408);
  RawClient half_body(port());
  half_body.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc");
  EXPECT_EQ(parse_answer(half_body.receive_all()).status, 408);
  // One that asks for much and takes nothing.
  RawClient no_reader(port());
  no_reader.send("GET /large HTTP/1.1\r\nHost: a\r\n\r\n");
  while (true) {
    const std::lock_guard lock(handler_.mutex);
    if (!handler_.records.empty() && handler_.records.back().first.path == "/large") break;
  }
  const std::lock_guard lock(handler_.mutex);
  EXPECT_TRUE(handler_.records.back().second.client_gone);
}

TEST_F(HttpServerTest, OneClientTooManyGetsAnAnswer) {
  HttpServerOptions options;
  options.max_connections = 2;
  start(options);
  std::vector<RawClient> clients;
  for (int i = 0; i < 2; ++i) {
    clients.emplace_back(port());
    clients.back().send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    EXPECT_EQ(parse_answer(clients.back().receive_until("GET / ")).status, 200);
  }
  RawClient more(port());
  EXPECT_EQ(parse_answer(more.receive_all()).status, 503);
}

TEST_F(HttpServerTest, DrainingLetsAnswersEndAndClosesTheRest) {
  start();
  RawClient idle(port());
  idle.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  idle.receive_until("GET / ");
  RawClient busy(port());
  busy.send("GET /stream HTTP/1.1\r\nHost: a\r\n\r\n");
  handler_.stream.wait_for(&Stream::started);
  std::atomic<bool> drained = false;
  server_->drain([&] {
    drained = true;
    server_->stop();
  });
  EXPECT_EQ(idle.receive_all(), "");
  EXPECT_FALSE(drained);
  EXPECT_THROW(RawClient(port()).send("x"), std::runtime_error);
  handler_.stream.push("the end", true);
  EXPECT_EQ(parse_answer(busy.receive_all()).body, "the end");
  thread_.join();
  EXPECT_TRUE(drained);
  thread_ = std::thread([] {});
}

}  // namespace
}  // namespace tigerbot::serve
