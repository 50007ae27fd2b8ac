#include "data/readers/http_message.h"

#include <zlib.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>

#include "base/text.h"

namespace tigerbot::data {
namespace {

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return out;
}

/// The text up to the blank line, and what comes after it.
std::pair<std::string_view, std::string_view> cut_head(std::string_view message) {
  const auto strict = message.find("\r\n\r\n");
  const auto loose = message.find("\n\n");
  if (strict != std::string_view::npos && (loose == std::string_view::npos || strict < loose))
    return {message.substr(0, strict), message.substr(strict + 4)};
  if (loose != std::string_view::npos) return {message.substr(0, loose), message.substr(loose + 2)};
  return {message, {}};
}

/// The chunks joined; nothing if the body is not chunked (it was joined when it was stored).
std::optional<std::string> join_chunks(std::string_view body) {
  std::string out;
  while (true) {
    const auto line_end = body.find('\n');
    if (line_end == std::string_view::npos) break;
    std::string_view line = trim(body.substr(0, line_end));
    line = trim(line.substr(0, line.find(';')));
    std::size_t size = 0;
    const auto [end, error] = std::from_chars(line.data(), line.data() + line.size(), size, 16);
    if (line.empty() || error != std::errc() || end != line.data() + line.size()) break;
    body.remove_prefix(line_end + 1);
    if (size == 0) return out;
    out += body.substr(0, size);
    if (size >= body.size()) return out;  // cut off: what is there counts
    body.remove_prefix(size);
    if (body.starts_with('\r')) body.remove_prefix(1);
    if (body.starts_with('\n')) body.remove_prefix(1);
  }
  return out.empty() ? std::nullopt : std::optional(std::move(out));
}

/// `window`: zlib's word for the format. Nothing if the bytes are not in it.
std::optional<std::string> inflate_body(std::string_view body, int window, std::size_t max_bytes) {
  z_stream stream{};
  if (inflateInit2(&stream, window) != Z_OK) return std::nullopt;
  struct End {
    z_stream* stream;
    ~End() { inflateEnd(stream); }
  } const end{&stream};
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(body.data()));
  stream.avail_in = static_cast<uInt>(std::min<std::size_t>(body.size(), 1u << 30));
  std::string out;
  std::array<char, 64 << 10> piece{};
  while (true) {
    stream.next_out = reinterpret_cast<Bytef*>(piece.data());
    stream.avail_out = piece.size();
    const int status = inflate(&stream, Z_NO_FLUSH);
    out.append(piece.data(), piece.size() - stream.avail_out);
    if (out.size() > max_bytes) return std::nullopt;
    if (status == Z_STREAM_END) return out;
    // A body that was cut off gives what came before.
    if (status != Z_OK) return out.empty() ? std::nullopt : std::optional(std::move(out));
  }
}

}  // namespace

HeaderFields parse_header_fields(std::string_view lines) {
  HeaderFields fields;
  for (const auto line : split(lines, '\n')) {
    const auto colon = line.find(':');
    if (colon == std::string_view::npos) continue;
    fields[lower(trim(line.substr(0, colon)))] = std::string(trim(line.substr(colon + 1)));
  }
  return fields;
}

std::optional<HttpResponse> parse_http_response(std::string_view message) {
  if (!message.starts_with("HTTP/")) return std::nullopt;
  const auto [head, body] = cut_head(message);
  HttpResponse response;
  const auto line = head.substr(0, head.find('\n'));
  if (const auto space = line.find(' '); space != std::string_view::npos) {
    const auto number = line.substr(space + 1);
    std::from_chars(number.data(), number.data() + number.size(), response.status);
  }
  response.fields = parse_header_fields(head);
  response.body = body;
  const std::string type = lower(response.fields["content-type"]);
  response.media_type = std::string(trim(std::string_view(type).substr(0, type.find(';'))));
  if (const auto at = type.find("charset="); at != std::string::npos) {
    std::string_view value = std::string_view(type).substr(at + 8);
    value = trim(value.substr(0, value.find(';')));
    if (value.size() >= 2 && (value[0] == '"' || value[0] == '\''))
      value = value.substr(1, value.size() - 2);
    response.charset = std::string(value);
  }
  return response;
}

std::optional<std::string> decode_body(const HttpResponse& response, std::size_t max_bytes) {
  const auto field = [&](std::string_view name) {
    const auto found = response.fields.find(name);
    return found == response.fields.end() ? std::string() : lower(found->second);
  };
  std::string body(response.body);
  if (field("transfer-encoding").find("chunked") != std::string::npos)
    if (auto joined = join_chunks(body)) body = std::move(*joined);
  const std::string encoding = field("content-encoding");
  const bool gzip_magic = body.starts_with("\x1f\x8b");
  if (gzip_magic && encoding.find("gzip") != std::string::npos) {
    auto plain = inflate_body(body, 15 + 16, max_bytes);
    if (!plain) return std::nullopt;
    body = std::move(*plain);
  } else if (encoding == "deflate") {
    // With zlib's header as the standard says, or without it as some servers do; plain text is
    // neither.
    auto plain = inflate_body(body, 15, max_bytes);
    if (!plain) plain = inflate_body(body, -15, max_bytes);
    if (plain) body = std::move(*plain);
  } else if (encoding == "br" || encoding == "zstd") {
    // Stored decoded by most crawlers; if it is not, it shows as binary.
  }
  if (body.size() > max_bytes) return std::nullopt;
  return body;
}

}  // namespace tigerbot::data
