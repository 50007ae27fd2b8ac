#include "serve/http/request_parser.h"

#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/parser.hpp>
#include <optional>

#include "base/utf8.h"

namespace tigerbot::serve {

namespace beast = boost::beast;
namespace http = boost::beast::http;

struct RequestParser::Parser {
  http::request_parser<http::empty_body> parser;
};

namespace {

constexpr std::size_t kMaxTargetBytes = 8192;

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

std::string percent_decode(std::string_view text) {
  std::string decoded;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      decoded += text[i];
      continue;
    }
    const int high = i + 1 < text.size() ? hex_digit(text[i + 1]) : -1;
    const int low = i + 2 < text.size() ? hex_digit(text[i + 2]) : -1;
    if (high < 0 || low < 0) throw HttpError(400, "the path has a % without two hex digits");
    decoded += static_cast<char>(high * 16 + low);
    i += 2;
  }
  return decoded;
}

[[noreturn]] void refuse(const beast::error_code& error) {
  if (error == http::error::body_limit) {
    throw HttpError(413, "the request's body is too large");
  }
  if (error == http::error::header_limit) {
    throw HttpError(431, "the request's headers are too large");
  }
  if (error == http::error::bad_version) {
    throw HttpError(505, "only HTTP/1.0 and HTTP/1.1 are spoken here");
  }
  throw HttpError(400, "the request is not proper HTTP: " + error.message());
}

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return out;
}

}  // namespace

Target parse_target(std::string_view target) {
  if (target.size() > kMaxTargetBytes) throw HttpError(414, "the request's target is too long");
  if (target == "*") return {"*", ""};
  for (const std::string_view scheme : {"http://", "https://"}) {
    if (!lower(target.substr(0, scheme.size())).starts_with(scheme)) continue;
    const std::size_t slash = target.find_first_of("/?", scheme.size());
    target = slash == std::string_view::npos ? std::string_view() : target.substr(slash);
    if (target.empty()) return {"/", ""};
  }
  if (!target.starts_with('/')) throw HttpError(400, "the request's path must begin with /");
  Target result;
  const std::size_t mark = target.find('?');
  if (mark != std::string_view::npos) result.query = target.substr(mark + 1);
  result.path = percent_decode(target.substr(0, mark));
  if (!is_valid_utf8(result.path)) throw HttpError(400, "the path is not UTF-8");
  for (const char c : result.path) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F || c == '\\') {
      throw HttpError(400, "the path has a character that has no place there");
    }
  }
  std::string_view rest = std::string_view(result.path).substr(1);
  while (true) {
    const std::size_t slash = rest.find('/');
    const std::string_view segment = rest.substr(0, slash);
    if (segment == "." || segment == "..") throw HttpError(400, "the path has a dot segment");
    if (slash == std::string_view::npos) break;
    rest.remove_prefix(slash + 1);
  }
  return result;
}

RequestParser::RequestParser(const HttpLimits& limits)
    : parser_(std::make_unique<Parser>()), limits_(limits) {
  parser_->parser.header_limit(static_cast<std::uint32_t>(limits.max_header_bytes));
  parser_->parser.body_limit(limits.max_body_bytes);
  parser_->parser.eager(false);  // it ends after the head
}

RequestParser::~RequestParser() = default;

std::size_t RequestParser::push(std::string_view bytes) {
  std::size_t taken = 0;
  auto& parser = parser_->parser;
  while (!body_ && taken < bytes.size()) {
    beast::error_code error;
    const boost::asio::const_buffer rest(bytes.data() + taken, bytes.size() - taken);
    const std::size_t now = parser.put(rest, error);
    taken += now;
    if (error && error != http::error::need_more) refuse(error);
    if (parser.is_header_done()) {
      read_head();
    } else if (error == http::error::need_more || now == 0) {
      return taken;
    }
  }
  return body_ ? taken + body_->push(bytes.substr(taken)) : taken;
}

void RequestParser::read_head() {
  const auto& message = parser_->parser.get();
  if (message.version() != 10 && message.version() != 11) {
    throw HttpError(505, "only HTTP/1.0 and HTTP/1.1 are spoken here");
  }
  const beast::string_view method = message.method_string();
  request_.method.assign(method.data(), method.size());
  const beast::string_view target = message.target();
  auto [path, query] = parse_target({target.data(), target.size()});
  request_.path = std::move(path);
  request_.query = std::move(query);
  int lengths = 0;
  int encodings = 0;
  int hosts = 0;
  for (const auto& field : message) {
    const beast::string_view name = field.name_string();
    const beast::string_view value = field.value();
    std::string key = lower({name.data(), name.size()});
    if (key == "content-length") {
      ++lengths;
      // "5, 5" is one length to some and an error to others.
      if (value.find_first_not_of("0123456789") != beast::string_view::npos) {
        throw HttpError(400, "Content-Length is no number");
      }
    }
    hosts += key == "host";
    if (key == "transfer-encoding") {
      ++encodings;
      if (lower({value.data(), value.size()}) != "chunked") {
        throw HttpError(501, "the only transfer encoding known here is chunked");
      }
    }
    request_.headers.emplace_back(std::move(key), std::string(value.data(), value.size()));
  }
  if (lengths > 1 || encodings > 1 || (lengths > 0 && encodings > 0)) {
    throw HttpError(400, "the request says in two ways where its body ends");
  }
  if (encodings > 0 && message.version() == 10) {
    throw HttpError(400, "HTTP/1.0 has no transfer encodings");
  }
  if (hosts > 1 || (hosts == 0 && message.version() == 11)) {
    throw HttpError(400, "a request needs one Host header");
  }
  if (const std::string* expect = request_.header("expect")) {
    if (lower(*expect) != "100-continue") throw HttpError(400, "this Expect is not known here");
    expects_continue_ = message.version() == 11;
  }
  body_ = encodings > 0 ? BodyDecoder::chunked(limits_.max_body_bytes)
                        : BodyDecoder::of_length(parser_->parser.content_length().value_or(0),
                                                 limits_.max_body_bytes);
  request_.keep_alive = message.keep_alive();
  request_.knows_chunks = message.version() == 11;
}

HttpRequest RequestParser::take() {
  request_.body = body_->take();
  return std::move(request_);
}

}  // namespace tigerbot::serve
