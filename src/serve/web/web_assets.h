#pragma once

#include <string>
#include <string_view>

namespace tigerbot::serve {

/// A file of the web page, as it lies in the program.
struct WebAsset {
  std::string_view path;          ///< "index.html", "lib/katex.min.js"
  std::string_view content_type;  ///< with its character set
  std::string_view etag;          ///< quoted, of the content
  std::string_view gzip;          ///< the content, compressed
};

/// The asset that a request's path names ("/" is the page itself); nullptr where there is none. The
/// names are a fixed list: no path can lead out of it.
const WebAsset* find_web_asset(std::string_view request_path);

/// The content itself, for the rare client that does not take gzip.
std::string uncompressed(const WebAsset& asset);

/// What every asset's answer must carry as its Content-Security-Policy: scripts, styles and fonts
/// of this server only, nothing inline, no other host, no frame. Should something that a model
/// wrote ever pass the page's sanitizer, it still cannot run or call home.
extern const std::string_view kContentSecurityPolicy;

}  // namespace tigerbot::serve
