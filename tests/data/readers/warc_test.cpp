#include <gtest/gtest.h>

#include "data/readers/http_message.h"
#include "data/readers/reading.h"

namespace tigerbot::data {
namespace {

using namespace testing;
using Texts = std::vector<std::string>;

std::string record(const std::string& type, const std::string& content,
                   const std::string& url = "http://a.example/") {
  return "WARC/1.0\r\nWARC-Type: " + type + "\r\nWARC-Target-URI: " + url +
         "\r\nWARC-Date: 2026-01-02T03:04:05Z\r\nContent-Length: " +
         std::to_string(content.size()) + "\r\n\r\n" + content + "\r\n\r\n";
}

std::string response(const std::string& fields, const std::string& body,
                     const std::string& status = "200 OK") {
  return record("response", "HTTP/1.1 " + status + "\r\n" + fields + "\r\n\r\n" + body);
}

TEST(Warc, PagesAndPlainTextsComeOut) {
  const auto file =
      record("warcinfo", "software: x") + record("request", "GET / HTTP/1.1\r\n\r\n") +
      response("Content-Type: text/html; charset=UTF-8", "<h1>Title</h1><p>Text.</p>") +
      response("Content-Type: image/png", "\x89PNG") +
      response("Content-Type: text/html", "<p>moved</p>", "301 Moved") +
      response("content-type: text/plain", "plain\n");
  const auto read = read_bytes("a.warc", file);
  ASSERT_EQ(read.texts(), (Texts{"# Title\n\nText.", "plain\n"}));
  EXPECT_TRUE(read.bad.empty());
  EXPECT_EQ(read.documents[0].metadata,
            Json::parse(R"({"url": "http://a.example/", "date": "2026-01-02T03:04:05Z"})"));
  EXPECT_EQ(read.documents[0].origin.offset, file.find("WARC/1.0\r\nWARC-Type: response"));
}

TEST(Warc, EveryRecordMayBeAGzipMemberOfItsOwn) {
  const auto read = read_bytes("a.warc.gz", gzip(record("warcinfo", "x")) +
                                                gzip(response("Content-Type: text/plain", "one")) +
                                                gzip(response("Content-Type: text/plain", "two")));
  EXPECT_EQ(read.texts(), (Texts{"one", "two"}));
}

TEST(Warc, ChunksAndCompressionOfHttpAreUndone) {
  const auto packed = gzip("<p>packed page</p>");
  const auto read = read_bytes(
      "a.warc",
      response("Content-Type: text/plain\r\nTransfer-Encoding: chunked",
               "4\r\nchun\r\n3;x=y\r\nked\r\n0\r\n\r\n") +
          response("Content-Type: text/html\r\nContent-Encoding: gzip", packed) +
          response(
              "Content-Type: text/plain\r\nContent-Encoding: gzip\r\nTransfer-Encoding: chunked",
              "stored as it reads"));
  EXPECT_EQ(read.texts(), (Texts{"chunked", "packed page", "stored as it reads"}));
}

TEST(Warc, WetRecordsAreTexts) {
  const auto read = read_bytes(
      "a.warc.wet", record("warcinfo", "x") + record("conversion", "One.\nTwo.\n", "http://b/"));
  ASSERT_EQ(read.texts(), Texts{"One.\nTwo.\n"});
  EXPECT_EQ(read.documents[0].metadata["url"], "http://b/");
}

TEST(Warc, HeadersNameTheEncoding) {
  const auto read = read_bytes(
      "a.warc", response("Content-Type: text/html; charset=\"Big5\"", "<p>\xa4\xa4\xa4\xe5</p>"));
  ASSERT_EQ(read.texts(), Texts{"中文"});
  EXPECT_EQ(read.documents[0].metadata["encoding"], "Big5");
}

TEST(Warc, NamesOfEncodingsAreTheRegisteredOnes) {
  const auto read = read_bytes("a.warc", response("Content-Type: text/plain; charset=K\xf2OI8\xf2R",
                                                  "\xf0\xf2\xe9\xf7\xe5\xf4"));
  ASSERT_EQ(read.documents.size(), 1u);
  EXPECT_NO_THROW((void)read.documents[0].metadata.dump());
}

TEST(Warc, DamageInTheMiddleCostsOneRecord) {
  const auto good = response("Content-Type: text/plain", "good");
  auto damaged = good;
  damaged.replace(damaged.find("Content-Length"), 14, "Content-Langth");
  const auto read = read_bytes("a.warc", good + damaged + good);
  EXPECT_EQ(read.texts(), (Texts{"good", "good"}));
  EXPECT_EQ(read.bad.size(), 1u);
}

TEST(Warc, CutOffAndLongRecordsAreBadInput) {
  const auto good = response("Content-Type: text/plain", "good");
  const auto cut = read_bytes("a.warc", good + good.substr(0, good.size() - 8));
  EXPECT_EQ(cut.texts(), Texts{"good"});
  ASSERT_EQ(cut.bad.size(), 1u);
  EXPECT_EQ(cut.bad[0].what, "the last WARC record is cut off");
  const auto longer =
      read_bytes("b.warc", response("Content-Type: text/plain", std::string(5000, 'x')) + good,
                 {.max_document_bytes = 1000});
  EXPECT_EQ(longer.texts(), Texts{"good"});
  EXPECT_EQ(longer.bad.size(), 1u);
}

TEST(Warc, ABombInsideABodyIsNotUnpacked) {
  const auto bomb = gzip(std::string(20 << 20, ' '));
  const auto read =
      read_bytes("a.warc", response("Content-Type: text/html\r\nContent-Encoding: gzip", bomb),
                 {.max_document_bytes = 1 << 20});
  EXPECT_TRUE(read.documents.empty());
  ASSERT_EQ(read.bad.size(), 1u);
  EXPECT_EQ(read.bad[0].what, "the body of the page cannot be decompressed");
}

}  // namespace
}  // namespace tigerbot::data
