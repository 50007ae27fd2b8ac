#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

/// A small HTTP client over libcurl: what fetching models needs, with retries. Proxies come from
/// the usual variables; only http and https are spoken, redirects included.
namespace tigerbot {

struct HttpOptions {
  std::vector<std::string> headers;  ///< "Name: value"; dropped where a redirect leaves the host
  std::string certificates;          ///< a CA bundle, or "" for the system's own
  /// How often a request is tried that failed for a reason that may pass (no connection, a cut
  /// one, status 408, 429, 500, 502, 503, 504). A try that brought bytes does not count.
  int attempts = 4;
  double first_delay = 0.5;  ///< seconds before the second try; doubled for each after it
};

/// An HTTP status that is neither success nor worth another try.
struct HttpFailure {
  long status = 0;      ///< 0: no answer at all
  std::string message;  ///< "HTTP 404", "cannot be reached: ..."
};

struct HttpText {
  std::string body;
  std::string final_url;  ///< after redirects
};

/// The body of `url` (at most `max_bytes`), or why there is none.
std::variant<HttpText, HttpFailure> http_get(const std::string& url, const HttpOptions& options,
                                             std::uint64_t max_bytes);

/// How the content of a file is checked.
struct Checksum {
  enum class Kind {
    kSha256,
    kGitBlobSha1,  ///< SHA-1 of "blob SIZE\0" and the bytes: how git names small files
  };
  Kind kind = Kind::kSha256;
  std::string hex;
};

struct FileDownload {
  std::string url;
  std::filesystem::path path;
  std::optional<std::uint64_t> size;
  Checksum checksum;
};

/// Fetches a file whole and checked, or not at all: bytes gather in `path`.partial, where a later
/// call (of any process) continues by a range request; only when size and checksum are right does
/// the file get its name. `progress` is told how many bytes of the file are there. An Error if the
/// content is wrong or the disk is full.
std::optional<HttpFailure> http_download(const FileDownload& file, const HttpOptions& options,
                                         const std::function<void(std::uint64_t)>& progress);

/// `reference` as seen from `base`, as browsers resolve links.
std::string resolve_url(const std::string& base, const std::string& reference);

/// `url` without user name and password, for messages.
std::string url_for_people(const std::string& url);

/// `text` with everything but letters, digits and "-._~/" percent-encoded.
std::string percent_encode_path(std::string_view text);

}  // namespace tigerbot
