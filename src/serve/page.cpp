#include "serve/page.h"

#include <map>

#include "base/hash.h"
#include "base/text.h"
#include "serve/service.h"
#include "serve/web_files.h"

namespace tigerbot::serve {

namespace {

std::string_view content_type(std::string_view path) {
  static const std::map<std::string_view, std::string_view> kTypes{
      {"html", "text/html; charset=utf-8"},
      {"css", "text/css; charset=utf-8"},
      {"js", "text/javascript; charset=utf-8"},
      {"mjs", "text/javascript; charset=utf-8"},
      {"json", "application/json"},
      {"svg", "image/svg+xml"},
      {"png", "image/png"},
      {"ico", "image/x-icon"},
      {"woff2", "font/woff2"},
      {"woff", "font/woff"},
      {"ttf", "font/ttf"},
      {"webmanifest", "application/manifest+json"},
      {"txt", "text/plain; charset=utf-8"},
  };
  const auto at = kTypes.find(path.substr(path.rfind('.') + 1));
  return at == kTypes.end() ? "application/octet-stream" : at->second;
}

const std::map<std::string, PageFile, std::less<>>& pages() {
  static const auto kPages = [] {
    static std::map<std::string, std::string> etags;
    std::map<std::string, PageFile, std::less<>> files;
    for (const WebFile& file : web_files()) {
      std::string path = "/" + std::string(file.path);
      const std::string& etag = etags[path] = "\"" + hash128(file.bytes).hex() + "\"";
      const PageFile page{file.path, content_type(file.path), file.bytes, etag};
      if (path == "/index.html") files.emplace("/", page);
      files.emplace(std::move(path), page);
    }
    return files;
  }();
  return kPages;
}

}  // namespace

const PageFile* find_page(std::string_view path) {
  const auto at = pages().find(path);
  return at == pages().end() ? nullptr : &at->second;
}

Reply Service::page(const HttpRequest& request) {
  const PageFile& page = *find_page(request.path);
  HttpResponse response;
  response.content_type = page.content_type;
  // The page takes nothing from elsewhere, and nobody frames it.
  response.headers = {
      {"etag", std::string(page.etag)},
      {"cache-control", "no-cache"},
      {"referrer-policy", "no-referrer"},
      {"content-security-policy",
       "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' "
       "data:; font-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; "
       "frame-ancestors 'none'"}};
  const std::string* known = request.header("if-none-match");
  if (known != nullptr && *known == page.etag) {
    response.status = 304;
    return response;
  }
  response.body = page.bytes;
  return response;
}

}  // namespace tigerbot::serve
