#include "serve/web/web_assets.h"

#include <zlib.h>

#include <cstring>

#include "base/error.h"
#include "serve/web/web_asset_table.h"

namespace tigerbot::serve {

const std::string_view kContentSecurityPolicy =
    "default-src 'none'; script-src 'self'; style-src 'self'; font-src 'self'; img-src 'self'; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const WebAsset* find_web_asset(std::string_view request_path) {
  if (request_path.empty() || request_path.front() != '/') return nullptr;
  request_path.remove_prefix(1);
  if (request_path.empty()) request_path = "index.html";
  for (const WebAsset& asset : web_asset_table()) {
    if (asset.path == request_path) return &asset;
  }
  return nullptr;
}

std::string uncompressed(const WebAsset& asset) {
  z_stream stream;
  std::memset(&stream, 0, sizeof stream);
  constexpr int kGzip = 16 + MAX_WBITS;
  if (inflateInit2(&stream, kGzip) != Z_OK) fail("the web page cannot be unpacked: out of memory");
  std::string content;
  std::string part(1 << 16, '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(asset.gzip.data()));
  stream.avail_in = static_cast<uInt>(asset.gzip.size());
  int status = Z_OK;
  while (status == Z_OK) {
    stream.next_out = reinterpret_cast<Bytef*>(part.data());
    stream.avail_out = static_cast<uInt>(part.size());
    status = inflate(&stream, Z_NO_FLUSH);
    content.append(part, 0, part.size() - stream.avail_out);
  }
  inflateEnd(&stream);
  if (status != Z_STREAM_END) fail("the web page's {} is damaged; build again", asset.path);
  return content;
}

}  // namespace tigerbot::serve
