#include "serve/service.h"
#include "serve/web/web_assets.h"

namespace tigerbot::serve {

namespace {

/// Whether an Accept-Encoding header takes gzip: named, and not with a quality of 0.
bool takes_gzip(const HttpRequest& request) {
  const std::string* accepted = request.header("accept-encoding");
  if (accepted == nullptr) return false;
  const std::size_t at = accepted->find("gzip");
  if (at == std::string::npos) return false;
  const std::string rest = accepted->substr(at + 4, accepted->find(',', at) - at - 4);
  return rest.find("q=0") == std::string::npos || rest.find("q=0.") != std::string::npos;
}

}  // namespace

Reply Service::page(const HttpRequest& request) {
  const WebAsset& asset = *find_web_asset(request.path);
  HttpResponse response;
  response.content_type = asset.content_type;
  response.headers = {{"etag", std::string(asset.etag)},
                      {"cache-control", "no-cache"},
                      {"vary", "accept-encoding"},
                      {"referrer-policy", "no-referrer"},
                      {"content-security-policy", std::string(kContentSecurityPolicy)}};
  const std::string* known = request.header("if-none-match");
  if (known != nullptr && *known == asset.etag) {
    response.status = 304;
  } else if (takes_gzip(request)) {
    response.headers.emplace_back("content-encoding", "gzip");
    response.body = asset.gzip;
  } else {
    response.body = uncompressed(asset);
  }
  return response;
}

}  // namespace tigerbot::serve
