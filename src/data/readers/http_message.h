#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>

namespace tigerbot::data {

/// Header fields by lower-case name; the last of a repeated field counts.
using HeaderFields = std::map<std::string, std::string, std::less<>>;

/// Fields of lines "Name: value", as WARC and HTTP have them.
HeaderFields parse_header_fields(std::string_view lines);

/// A stored HTTP response.
struct HttpResponse {
  int status = 0;
  std::string media_type;  ///< lower case, without parameters: "text/html"
  std::string charset;     ///< the parameter of Content-Type; "" if none
  std::string_view body;   ///< as it was sent
  HeaderFields fields;
};

/// Nothing if `message` does not begin as HTTP does.
std::optional<HttpResponse> parse_http_response(std::string_view message);

/// The body with the chunks and the compression (gzip, deflate, br is not known) undone that the
/// fields name. Archives often keep the fields of a body that was decoded before it was stored:
/// then it stays as it is. Nothing if it cannot be decoded or is longer than `max_bytes`.
std::optional<std::string> decode_body(const HttpResponse& response, std::size_t max_bytes);

}  // namespace tigerbot::data
