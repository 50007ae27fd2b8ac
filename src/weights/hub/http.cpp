#include "weights/hub/http.h"

#include <curl/curl.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <memory>
#include <mutex>
#include <thread>

#include "base/error.h"
#include "base/files.h"
#include "base/hash.h"
#include "base/logging.h"
#include "base/text.h"

namespace tigerbot {
namespace {

namespace fs = std::filesystem;

constexpr double kLongestDelay = 30;

struct CurlDeleter {
  void operator()(CURL* handle) const { curl_easy_cleanup(handle); }
  void operator()(curl_slist* list) const { curl_slist_free_all(list); }
  void operator()(CURLU* url) const { curl_url_cleanup(url); }
  void operator()(char* text) const { curl_free(text); }
};

/// One try of one request.
struct Exchange {
  // What it is to do.
  std::function<bool(std::string_view)> take;  ///< false stops the transfer
  std::uint64_t offset = 0;                    ///< asks for the bytes from here on
  std::function<void()> restart;               ///< the server sends from the start after all

  // What came of it.
  CURL* handle = nullptr;
  bool begun = false, wrong_range = false;
  std::optional<std::uint64_t> range_start;
  double retry_after = 0;
};

std::size_t on_header(char* data, std::size_t, std::size_t size, void* user) {
  auto& exchange = *static_cast<Exchange*>(user);
  std::string line(trim({data, size}));
  std::transform(line.begin(), line.end(), line.begin(),
                 [](unsigned char c) { return std::tolower(c); });
  if (line.starts_with("http/")) {  // the answer after a redirect begins
    exchange.range_start.reset();
    exchange.retry_after = 0;
  } else if (line.starts_with("content-range: bytes ")) {
    exchange.range_start = std::strtoull(line.c_str() + 21, nullptr, 10);
  } else if (line.starts_with("retry-after: ")) {
    exchange.retry_after = std::strtod(line.c_str() + 13, nullptr);
  }
  return size;
}

std::size_t on_body(char* data, std::size_t, std::size_t size, void* user) {
  auto& exchange = *static_cast<Exchange*>(user);
  if (!exchange.begun) {
    exchange.begun = true;
    long status = 0;
    curl_easy_getinfo(exchange.handle, CURLINFO_RESPONSE_CODE, &status);
    if (status == 206) {
      exchange.wrong_range = exchange.range_start != exchange.offset;
      if (exchange.wrong_range) return 0;
    } else if (status == 200 && exchange.offset > 0) {
      exchange.restart();
    }
  }
  long status = 0;
  curl_easy_getinfo(exchange.handle, CURLINFO_RESPONSE_CODE, &status);
  if (status < 200 || status >= 300) return size;  // the page of an error: nobody reads it
  return exchange.take({data, size}) ? size : 0;
}

struct Outcome {
  CURLcode code;
  long status;
  std::string error, final_url;
};

Outcome perform(const std::string& url, const HttpOptions& options, Exchange& exchange) {
  static std::once_flag once;
  std::call_once(once, [] { curl_global_init(CURL_GLOBAL_DEFAULT); });
  const std::unique_ptr<CURL, CurlDeleter> handle(curl_easy_init());
  if (!handle) fail_internal("libcurl could not start");
  exchange.handle = handle.get();
  curl_slist* list = nullptr;
  for (const auto& header : options.headers) list = curl_slist_append(list, header.c_str());
  const std::unique_ptr<curl_slist, CurlDeleter> headers(list);
  char error[CURL_ERROR_SIZE] = "";
  const std::string range = fmt::format("{}-", exchange.offset);
  const auto set = [&](CURLoption option, auto value) {
    curl_easy_setopt(handle.get(), option, value);
  };
  set(CURLOPT_URL, url.c_str());
  set(CURLOPT_HTTPHEADER, headers.get());
  set(CURLOPT_USERAGENT, "tigerbot");
  set(CURLOPT_PROTOCOLS_STR, "http,https");
  set(CURLOPT_REDIR_PROTOCOLS_STR, "http,https");
  set(CURLOPT_FOLLOWLOCATION, 1L);
  set(CURLOPT_MAXREDIRS, 10L);
  set(CURLOPT_NOSIGNAL, 1L);
  set(CURLOPT_CONNECTTIMEOUT, 20L);
  set(CURLOPT_LOW_SPEED_LIMIT, 1L);
  set(CURLOPT_LOW_SPEED_TIME, 60L);
  set(CURLOPT_BUFFERSIZE, 256L << 10);
  set(CURLOPT_ERRORBUFFER, static_cast<char*>(error));
  set(CURLOPT_HEADERFUNCTION, on_header);
  set(CURLOPT_HEADERDATA, &exchange);
  set(CURLOPT_WRITEFUNCTION, on_body);
  set(CURLOPT_WRITEDATA, &exchange);
  if (exchange.offset > 0) set(CURLOPT_RANGE, range.c_str());
  if (!options.certificates.empty()) set(CURLOPT_CAINFO, options.certificates.c_str());

  Outcome outcome{};
  outcome.code = curl_easy_perform(handle.get());
  curl_easy_getinfo(handle.get(), CURLINFO_RESPONSE_CODE, &outcome.status);
  char* final_url = nullptr;
  curl_easy_getinfo(handle.get(), CURLINFO_EFFECTIVE_URL, &final_url);
  if (final_url) outcome.final_url = final_url;
  outcome.error = *error ? error : curl_easy_strerror(outcome.code);
  exchange.handle = nullptr;
  return outcome;
}

bool may_pass(const Outcome& outcome) {
  switch (outcome.code) {
    case CURLE_OK:
      return outcome.status == 408 || outcome.status == 429 || outcome.status == 500 ||
             outcome.status == 502 || outcome.status == 503 || outcome.status == 504;
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_RESOLVE_PROXY:
    case CURLE_COULDNT_CONNECT:
    case CURLE_PARTIAL_FILE:
    case CURLE_OPERATION_TIMEDOUT:
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_GOT_NOTHING:
    case CURLE_SEND_ERROR:
    case CURLE_RECV_ERROR:
    case CURLE_HTTP2:
    case CURLE_HTTP2_STREAM:
      return true;
    default:
      return false;
  }
}

HttpFailure failure_of(const Outcome& outcome) {
  if (outcome.code == CURLE_OK) return {outcome.status, fmt::format("HTTP {}", outcome.status)};
  return {0, fmt::format("cannot be reached: {}; is the network there?", outcome.error)};
}

/// How long a request that fails is tried again.
class Retries {
 public:
  explicit Retries(const HttpOptions& options)
      : left_(options.attempts), delay_(options.first_delay), options_(options) {}

  /// After a try that failed, perhaps for a while: true after a pause if another is due. Patience
  /// is whole again if the try `progressed`.
  bool again(const Outcome& outcome, const Exchange& exchange, bool progressed,
             const std::string& url) {
    if (!may_pass(outcome) && !exchange.wrong_range) return false;
    if (progressed) {
      left_ = options_.attempts + 1;
      delay_ = options_.first_delay;
    }
    if (--left_ <= 0) return false;
    const double pause = std::min(std::max(delay_, exchange.retry_after), kLongestDelay);
    log_info("{}: {}; trying again in {}", url_for_people(url), failure_of(outcome).message,
             format_duration(pause));
    std::this_thread::sleep_for(std::chrono::duration<double>(pause));
    delay_ *= 2;
    return true;
  }

 private:
  int left_;
  double delay_;
  const HttpOptions& options_;
};

/// The digest of a file's bytes, in the order in which they arrive.
class ContentDigest {
 public:
  ContentDigest(Checksum::Kind kind, std::uint64_t size) : kind_(kind), size_(size) { restart(); }

  void restart() {
    digest_.emplace(kind_ == Checksum::Kind::kSha256 ? Digest::Kind::kSha256 : Digest::Kind::kSha1);
    if (kind_ == Checksum::Kind::kGitBlobSha1)
      digest_->update(fmt::format("blob {}", size_) + std::string(1, '\0'));
  }
  void update(std::string_view bytes) { digest_->update(bytes); }
  std::string finish_hex() { return digest_->finish_hex(); }

 private:
  Checksum::Kind kind_;
  std::uint64_t size_;
  std::optional<Digest> digest_;
};

/// The unfinished file: appended to, and kept when a transfer ends early.
class PartialFile {
 public:
  PartialFile(fs::path path, fs::path final_path)
      : path_(std::move(path)), final_(std::move(final_path)) {
    descriptor_ = ::open(path_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (descriptor_ < 0) fail_with(errno);
    size_ = static_cast<std::uint64_t>(::lseek(descriptor_, 0, SEEK_END));
  }
  ~PartialFile() { ::close(descriptor_); }
  PartialFile(const PartialFile&) = delete;
  PartialFile& operator=(const PartialFile&) = delete;

  std::uint64_t size() const { return size_; }

  void append(std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t wrote =
          ::pwrite(descriptor_, bytes.data(), bytes.size(), static_cast<off_t>(size_));
      if (wrote < 0 && errno == EINTR) continue;
      if (wrote < 0) fail_with(errno);
      size_ += static_cast<std::uint64_t>(wrote);
      bytes.remove_prefix(static_cast<std::size_t>(wrote));
    }
  }

  void clear() {
    if (::ftruncate(descriptor_, 0) != 0) fail_with(errno);
    size_ = 0;
  }

  void feed(ContentDigest& digest) const {
    std::string block(1 << 20, '\0');
    for (std::uint64_t at = 0; at < size_;) {
      const ssize_t got = ::pread(descriptor_, block.data(), block.size(), static_cast<off_t>(at));
      if (got < 0 && errno == EINTR) continue;
      if (got <= 0) fail_with(got < 0 ? errno : EIO);
      digest.update({block.data(), static_cast<std::size_t>(got)});
      at += static_cast<std::uint64_t>(got);
    }
  }

  void rename_to_final() {
    if (::fsync(descriptor_) != 0) fail_with(errno);
    if (::rename(path_.c_str(), final_.c_str()) != 0) fail_with(errno);
  }

 private:
  [[noreturn]] void fail_with(int error_number) const {
    fail("{}: cannot be written: {}", final_.string(), std::strerror(error_number));
  }

  fs::path path_, final_;
  int descriptor_ = -1;
  std::uint64_t size_ = 0;
};

}  // namespace

std::variant<HttpText, HttpFailure> http_get(const std::string& url, const HttpOptions& options,
                                             std::uint64_t max_bytes) {
  Retries retries(options);
  for (;;) {
    HttpText text;
    bool too_long = false;
    Exchange exchange;
    exchange.take = [&](std::string_view bytes) {
      too_long = text.body.size() + bytes.size() > max_bytes;
      if (!too_long) text.body.append(bytes);
      return !too_long;
    };
    const Outcome outcome = perform(url, options, exchange);
    if (outcome.code == CURLE_OK && outcome.status >= 200 && outcome.status < 300) {
      text.final_url = outcome.final_url;
      return text;
    }
    if (too_long)
      return HttpFailure{outcome.status,
                         fmt::format("the answer is longer than {} bytes", max_bytes)};
    if (!retries.again(outcome, exchange, false, url)) return failure_of(outcome);
  }
}

std::optional<HttpFailure> http_download(const FileDownload& file, const HttpOptions& options,
                                         const std::function<void(std::uint64_t)>& progress) {
  if (file.checksum.kind == Checksum::Kind::kGitBlobSha1 && !file.size)
    fail_internal("{}: a git checksum needs the size", file.path.string());
  fs::path partial_path = file.path;
  partial_path += ".partial";
  PartialFile partial(partial_path, file.path);
  ContentDigest digest(file.checksum.kind, file.size.value_or(0));
  const auto restart = [&] {
    partial.clear();
    digest.restart();
  };
  if (file.size && partial.size() > *file.size) restart();
  partial.feed(digest);

  bool resumed = partial.size() > 0;
  // Only bytes beyond the furthest point so far are progress: a server that starts over and over
  // must not be asked for ever.
  std::uint64_t furthest = partial.size();
  Retries retries(options);
  for (;;) {
    progress(partial.size());
    while (!file.size || partial.size() < *file.size) {
      bool too_long = false;
      Exchange exchange;
      exchange.offset = partial.size();
      exchange.restart = restart;
      std::exception_ptr error;
      exchange.take = [&](std::string_view bytes) {
        // Nothing may be thrown through libcurl.
        try {
          too_long = file.size && partial.size() + bytes.size() > *file.size;
          if (too_long) return false;
          partial.append(bytes);
          digest.update(bytes);
          progress(partial.size());
          return true;
        } catch (...) {
          error = std::current_exception();
          return false;
        }
      };
      const Outcome outcome = perform(file.url, options, exchange);
      const bool progressed = partial.size() > furthest;
      furthest = std::max(furthest, partial.size());
      if (error) std::rethrow_exception(error);
      if (too_long) {
        fs::remove(partial_path);
        fail("{}: is longer than the {} bytes it should have", url_for_people(file.url),
             *file.size);
      }
      if (outcome.code == CURLE_OK && outcome.status >= 200 && outcome.status < 300) {
        if (!file.size || partial.size() == *file.size) break;
        // The server closed early and called it complete.
        if (!retries.again({CURLE_PARTIAL_FILE, outcome.status, "the file ended early", ""},
                           exchange, progressed, file.url))
          return HttpFailure{outcome.status,
                             fmt::format("ended after {} of {} bytes", partial.size(), *file.size)};
        continue;
      }
      if (exchange.wrong_range || outcome.status == 416) {
        // What lies there is no beginning of what the server has.
        restart();
        resumed = false;
        exchange.wrong_range = true;
        if (retries.again(outcome, exchange, false, file.url)) continue;
        return failure_of(outcome);
      }
      if (!retries.again(outcome, exchange, progressed, file.url)) return failure_of(outcome);
    }
    const std::string hex = digest.finish_hex();
    if (hex == file.checksum.hex) break;
    if (!resumed) {
      fs::remove(partial_path);
      fail("{}: wrong checksum {}, expected {}; the file is damaged or was replaced",
           url_for_people(file.url), hex, file.checksum.hex);
    }
    // The part that lay there may have been of another version: once more, from the start.
    resumed = false;
    restart();
  }
  partial.rename_to_final();
  return std::nullopt;
}

std::string resolve_url(const std::string& base, const std::string& reference) {
  const std::unique_ptr<CURLU, CurlDeleter> url(curl_url());
  char* text = nullptr;
  if (!url || curl_url_set(url.get(), CURLUPART_URL, base.c_str(), 0) != CURLUE_OK ||
      curl_url_set(url.get(), CURLUPART_URL, reference.c_str(), 0) != CURLUE_OK ||
      curl_url_get(url.get(), CURLUPART_URL, &text, 0) != CURLUE_OK)
    fail("{}: is no URL, seen from {}", quote(reference), url_for_people(base));
  return std::unique_ptr<char, CurlDeleter>(text).get();
}

std::string url_for_people(const std::string& url) {
  const auto scheme = url.find("://");
  if (scheme == std::string::npos) return url;
  const auto host = scheme + 3;
  const auto at = url.find('@', host);
  if (at == std::string::npos || at > url.find('/', host)) return url;
  return url.substr(0, host) + url.substr(at + 1);
}

std::string percent_encode_path(std::string_view text) {
  std::string out;
  for (const char c : text) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       std::string_view("-._~/").find(c) != std::string_view::npos;
    if (plain) {
      out += c;
    } else {
      out += fmt::format("%{:02X}", static_cast<unsigned char>(c));
    }
  }
  return out;
}

}  // namespace tigerbot
