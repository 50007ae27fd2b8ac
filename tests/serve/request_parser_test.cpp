#include "serve/http/request_parser.h"

#include <gtest/gtest.h>

namespace tigerbot::serve {
namespace {

/// The status with which a request is refused, in one piece and byte by byte; 0 if it is taken, and
/// -1 if more is awaited.
int status_of(const std::string& bytes, const HttpLimits& limits = {}) {
  const auto parse = [&](std::size_t piece) {
    RequestParser parser(limits);
    try {
      std::string left;
      for (std::size_t at = 0; at < bytes.size() && !parser.done(); at += piece) {
        left += bytes.substr(at, piece);
        left.erase(0, parser.push(left));
      }
    } catch (const HttpError& error) {
      return error.status();
    }
    return parser.done() ? 0 : -1;
  };
  const int whole = parse(bytes.size());
  EXPECT_EQ(whole, parse(1)) << bytes;
  return whole;
}

std::string get(const std::string& target, const std::string& headers = "Host: a\r\n") {
  return "GET " + target + " HTTP/1.1\r\n" + headers + "\r\n";
}

TEST(RequestParser, TakesARequestWithABodyInAnyPieces) {
  const std::string bytes =
      "POST /v1/x%20y?a=b HTTP/1.1\r\nHost: a\r\nX-Thing:  v \r\nContent-Length: 5\r\n\r\nhelloGET";
  for (std::size_t piece = 1; piece <= bytes.size(); ++piece) {
    RequestParser parser({});
    std::string left;
    std::size_t fed = 0;
    while (!parser.done()) {
      left += bytes.substr(fed, piece);
      fed += piece;
      left.erase(0, parser.push(left));
    }
    const HttpRequest request = parser.take();
    EXPECT_EQ(request.method, "POST");
    EXPECT_EQ(request.path, "/v1/x y");
    EXPECT_EQ(request.query, "a=b");
    ASSERT_NE(request.header("x-thing"), nullptr);
    EXPECT_EQ(*request.header("x-thing"), "v");
    EXPECT_EQ(request.body, "hello");
    // What belongs to the next request was left alone.
    EXPECT_EQ(left + (fed < bytes.size() ? bytes.substr(fed) : ""), "GET");
  }
}

TEST(RequestParser, TakesChunks) {
  RequestParser parser({});
  const std::string bytes =
      "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: "
      "chunked\r\n\r\n5\r\nhello\r\n1\r\n!\r\n0\r\n\r\n";
  EXPECT_EQ(parser.push(bytes), bytes.size());
  ASSERT_TRUE(parser.done());
  EXPECT_EQ(parser.take().body, "hello!");
}

TEST(RequestParser, ReadsChunksByTheLetter) {
  const std::string start = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
  EXPECT_EQ(status_of(start + "0\r\n\r\n"), 0);
  EXPECT_EQ(status_of(start + "A;x=\"y\"\r\n0123456789\r\n00\r\n\r\n"), 0);
  EXPECT_EQ(status_of(start + "5\r\nhello\r\n0\r\n"), -1);
  for (const char* body : {"5\nhello\n0\n\n", "5\r\nhello0\r\n\r\n", "5 \r\nhello\r\n0\r\n\r\n",
                           "\r\n", ";x\r\n", "0x5\r\n", "-1\r\n", "0\r\nTrailer: a\r\n\r\n",
                           "0\r\n\nar: \r\n\r\n", "5;\nhello\r\n", "g\r\n"}) {
    EXPECT_EQ(status_of(start + body), 400) << body;
  }
  EXPECT_EQ(status_of(start + "FFFFFFFFFFFFFFFFF\r\n"), 413);
}

TEST(RequestParser, RefusesTwoWaysToSayWhereABodyEnds) {
  const std::string start = "POST / HTTP/1.1\r\nHost: a\r\n";
  EXPECT_EQ(status_of(start + "Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello!"), 400);
  EXPECT_EQ(status_of(start + "Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello"), 400);
  EXPECT_EQ(status_of(start + "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
            400);
  EXPECT_EQ(status_of(start + "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n"),
            400);
  EXPECT_EQ(status_of(start + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n"),
            400);
  EXPECT_NE(status_of(start + "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"), 0);
  EXPECT_NE(status_of(start + "Transfer-Encoding: xchunked\r\n\r\n"), 0);
  EXPECT_NE(status_of(start + "Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n"), 0);
  EXPECT_EQ(status_of(start + "Content-Length: -5\r\n\r\n"), 400);
  EXPECT_EQ(status_of(start + "Content-Length: +5\r\n\r\nhello"), 400);
  EXPECT_EQ(status_of(start + "Content-Length: 5, 5\r\n\r\nhello"), 400);
  EXPECT_EQ(status_of(start + "Content-Length: 99999999999999999999999\r\n\r\n"), 400);
  EXPECT_EQ(status_of("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"), 400);
}

TEST(RequestParser, RefusesWhatIsNoHttp) {
  EXPECT_EQ(status_of(get("/")), 0);
  EXPECT_EQ(status_of("GET / HTTP/1.1\r\n\r\n"), 400);  // no Host
  EXPECT_EQ(status_of(get("/", "Host: a\r\nHost: b\r\n")), 400);
  EXPECT_EQ(status_of("GET / HTTP/2.0\r\nHost: a\r\n\r\n"), 505);
  EXPECT_EQ(status_of("GET /\r\n\r\n"), 400);
  EXPECT_EQ(status_of("GET  / HTTP/1.1\r\nHost: a\r\n\r\n"), 400);
  EXPECT_EQ(status_of(get("/", "Host: a\r\nA b: c\r\n")), 400);
  EXPECT_EQ(status_of(get("/", std::string("Host: a\r\nX: a\0b\r\n", 17))), 400);
  EXPECT_EQ(status_of("\x16\x03\x01\x02\r\n\r\n"), 400);  // TLS on a plain port
  EXPECT_EQ(status_of(get("/", "Host: a\r\nExpect: tea\r\n")), 400);
}

TEST(RequestParser, RefusesPathsThatLeadElsewhere) {
  for (const char* path :
       {"/../etc/passwd", "/a/../../etc", "/%2e%2e/x", "/%2E./x", "/a/.", "/..", "/a%00b", "/a%0ab",
        "/a\\b", "/%5c..", "/%ff", "/%c0%af", "/%zz", "/%4", "x", "../x"}) {
    EXPECT_EQ(status_of(get(path)), 400) << path;
  }
  EXPECT_EQ(status_of(get("/a..b/...")), 0);
  EXPECT_EQ(status_of(get("/%E4%BD%A0")), 0);
  EXPECT_EQ(parse_target("http://host/a?b").path, "/a");
  EXPECT_EQ(parse_target("http://host").path, "/");
}

TEST(RequestParser, KeepsToItsLimits) {
  HttpLimits limits;
  limits.max_header_bytes = 1024;
  limits.max_body_bytes = 10;
  EXPECT_EQ(status_of(get("/", "Host: a\r\nX: " + std::string(2000, 'a') + "\r\n"), limits), 431);
  EXPECT_EQ(status_of(std::string(2000, 'a'), limits), 431);
  const std::string post = "POST / HTTP/1.1\r\nHost: a\r\n";
  EXPECT_EQ(status_of(post + "Content-Length: 11\r\n\r\n", limits), 413);
  EXPECT_EQ(status_of(post + "Content-Length: 10\r\n\r\n0123456789", limits), 0);
  EXPECT_EQ(status_of(post + "Transfer-Encoding: chunked\r\n\r\n8\r\n01234567\r\n8\r\n01234567\r\n",
                      limits),
            413);
  EXPECT_EQ(status_of(get("/" + std::string(9000, 'a')), {.max_header_bytes = 16384}), 414);
}

}  // namespace
}  // namespace tigerbot::serve
