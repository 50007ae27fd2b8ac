#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "base/utf8.h"
#include "serve/http/request_parser.h"

namespace {

using tigerbot::serve::HttpError;
using tigerbot::serve::HttpRequest;
using tigerbot::serve::RequestParser;

/// The requests that a parser finds in some bytes, one line each.
std::string describe(std::string_view bytes, std::size_t piece) {
  std::string said;
  std::string left;
  std::size_t at = 0;
  while (true) {
    RequestParser parser({.max_header_bytes = 4096, .max_body_bytes = 4096});
    try {
      while (!parser.done()) {
        left.erase(0, parser.push(left));
        if (parser.done()) break;
        if (at == bytes.size()) return said;
        left += bytes.substr(at, piece);
        at += std::min(piece, bytes.size() - at);
      }
    } catch (const HttpError& error) {
      if (error.status() < 400 || error.status() > 505) std::abort();
      // An unfinished request may be refused in pieces and awaited as a whole: what counts is that
      // neither makes a request of it.
      return said;
    }
    const HttpRequest request = parser.take();
    if (request.path != "*" && !request.path.starts_with('/')) std::abort();
    if (!tigerbot::is_valid_utf8(request.path)) std::abort();
    if ((request.path + "/").find("/../") != std::string::npos) std::abort();
    if (request.body.size() > 4096) std::abort();
    said += request.method + " " + request.path + " " + request.body + "\n";
  }
}

}  // namespace

// However the bytes come, the same requests are found in them; paths are UTF-8 and stay below the
// root; bodies keep to their limit.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const std::string whole = describe(bytes, std::max<std::size_t>(size, 1));
  if (describe(bytes, 1) != whole || describe(bytes, 7) != whole) std::abort();
  return 0;
}
