#include "base/files.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <pwd.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "base/error.h"

namespace tigerbot {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kBufferSize = 1 << 20;

std::string reason(int error_number) { return std::strerror(error_number); }

/// A name in the folder of `path` that no other process or thread uses.
fs::path temporary_beside(const fs::path& path) {
  static std::atomic<std::uint64_t> counter{0};
  fs::path name = path;
  name += fmt::format(".partial-{}-{}", ::getpid(), counter++);
  return name;
}

/// Flushes the folder itself, so that the new name survives a power cut. File systems that cannot
/// are no worse off than before.
void sync_folder(const fs::path& folder) {
  const int descriptor = ::open(folder.empty() ? "." : folder.c_str(), O_RDONLY | O_DIRECTORY);
  if (descriptor < 0) return;
  ::fsync(descriptor);
  ::close(descriptor);
}

struct Descriptor {
  int value;
  ~Descriptor() { ::close(value); }
};

}  // namespace

std::string read_file(const fs::path& path, std::uint64_t max_bytes) {
  const int opened = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (opened < 0) fail("{}: cannot be read: {}", path.string(), reason(errno));
  const Descriptor file{opened};
  struct stat status {};
  if (::fstat(file.value, &status) != 0)
    fail("{}: cannot be read: {}", path.string(), reason(errno));
  if (S_ISDIR(status.st_mode)) fail("{}: is a folder, not a file", path.string());
  const auto expected = static_cast<std::uint64_t>(status.st_size);
  if (expected > max_bytes)
    fail("{}: has {} bytes; at most {} are allowed here", path.string(), expected, max_bytes);
  // Pipes and /proc say 0: read until the end, whatever the size said.
  std::string bytes;
  bytes.resize(S_ISREG(status.st_mode) ? expected + 1 : kBufferSize);
  std::size_t have = 0;
  for (;;) {
    if (have == bytes.size()) bytes.resize(bytes.size() * 2);
    const ssize_t got = ::read(file.value, bytes.data() + have, bytes.size() - have);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) fail("{}: cannot be read: {}", path.string(), reason(errno));
    if (got == 0) break;
    have += static_cast<std::size_t>(got);
    if (have > max_bytes)
      fail("{}: has more than the {} bytes that are allowed here", path.string(), max_bytes);
  }
  bytes.resize(have);
  return bytes;
}

std::uint64_t size_of_file(const fs::path& path) {
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0)
    fail("{}: cannot be read: {}", path.string(), reason(errno));
  if (!S_ISREG(status.st_mode)) fail("{}: is not a regular file", path.string());
  return static_cast<std::uint64_t>(status.st_size);
}

void create_folders(const fs::path& path) {
  std::error_code error;
  fs::create_directories(path, error);
  if (error) fail("{}: cannot create the folder: {}", path.string(), error.message());
}

AtomicFile::AtomicFile(fs::path path)
    : path_(std::move(path)), temporary_(temporary_beside(path_)) {
  std::error_code ignored;
  if (fs::is_directory(path_, ignored))
    fail("{}: is a folder; a file is to be written there", path_.string());
  descriptor_ = ::open(temporary_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
  if (descriptor_ < 0) fail_with(errno);
}

AtomicFile::~AtomicFile() {
  if (descriptor_ < 0) return;
  ::close(descriptor_);
  ::unlink(temporary_.c_str());
}

AtomicFile::AtomicFile(AtomicFile&& other) noexcept
    : path_(std::move(other.path_)),
      temporary_(std::move(other.temporary_)),
      descriptor_(std::exchange(other.descriptor_, -1)),
      size_(other.size_),
      buffer_(std::move(other.buffer_)) {}

void AtomicFile::fail_with(int error_number) const {
  fail("{}: cannot be written: {}", path_.string(), reason(error_number));
}

void AtomicFile::put(std::uint64_t offset, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t wrote =
        ::pwrite(descriptor_, bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote < 0) fail_with(errno);
    offset += static_cast<std::uint64_t>(wrote);
    bytes.remove_prefix(static_cast<std::size_t>(wrote));
  }
}

void AtomicFile::write(std::string_view bytes) {
  size_ += bytes.size();
  if (buffer_.size() + bytes.size() <= kBufferSize) {
    buffer_.append(bytes);
    return;
  }
  put(size_ - bytes.size() - buffer_.size(), buffer_);
  buffer_.clear();
  if (bytes.size() >= kBufferSize) {
    put(size_ - bytes.size(), bytes);
  } else {
    buffer_.assign(bytes);
  }
}

void AtomicFile::reserve(std::uint64_t size) {
  if (size == 0) return;
  const int error_number = ::posix_fallocate(descriptor_, 0, static_cast<off_t>(size));
  if (error_number != 0) fail_with(error_number);
}

void AtomicFile::write_at(std::uint64_t offset, std::string_view bytes) { put(offset, bytes); }

void AtomicFile::commit(bool flush) {
  put(size_ - buffer_.size(), buffer_);
  buffer_.clear();
  if (flush && ::fsync(descriptor_) != 0 && errno != EINVAL) fail_with(errno);
  if (::rename(temporary_.c_str(), path_.c_str()) != 0) fail_with(errno);
  // The data are on the disk: nothing that close() may still say matters.
  ::close(std::exchange(descriptor_, -1));
  if (flush) sync_folder(path_.parent_path());
}

void write_file(const fs::path& path, std::string_view bytes) {
  AtomicFile file(path);
  file.write(bytes);
  file.commit();
}

AtomicFolder::AtomicFolder(fs::path final_path) : final_(std::move(final_path)) {
  if (!final_.has_filename()) final_ = final_.parent_path();
  if (final_.has_parent_path()) create_folders(final_.parent_path());
  temporary_ = temporary_beside(final_);
  std::error_code error;
  fs::create_directory(temporary_, error);
  if (error) fail("{}: cannot be written: {}", final_.string(), error.message());
}

AtomicFolder::~AtomicFolder() {
  std::error_code ignored;
  if (!temporary_.empty()) fs::remove_all(temporary_, ignored);
}

void AtomicFolder::commit() {
  const fs::path old = temporary_beside(final_);
  std::error_code error;
  const bool replaces = fs::exists(final_, error);
  if (replaces && !fs::is_directory(final_, error))
    fail("{}: is a file; a folder is to be written there", final_.string());
  error.clear();
  if (replaces) fs::rename(final_, old, error);
  if (!error) fs::rename(temporary_, final_, error);
  if (error) {
    const std::string message = error.message();
    if (replaces) fs::rename(old, final_, error);
    fail("{}: cannot be written: {}", final_.string(), message);
  }
  temporary_.clear();
  sync_folder(final_.parent_path());
  fs::remove_all(old, error);
}

FileLock::FileLock(const fs::path& path) {
  if (path.has_parent_path()) create_folders(path.parent_path());
  descriptor_ = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
  if (descriptor_ < 0) fail("{}: cannot be locked: {}", path.string(), reason(errno));
  while (::flock(descriptor_, LOCK_EX) != 0) {
    if (errno == EINTR) continue;
    const int error_number = errno;
    ::close(descriptor_);
    fail("{}: cannot be locked: {}", path.string(), reason(error_number));
  }
}

FileLock::~FileLock() { ::close(descriptor_); }

namespace {

fs::path home_folder() {
  if (const char* home = std::getenv("HOME"); home && *home) return home;
  if (const passwd* user = ::getpwuid(::getuid()); user && user->pw_dir) return user->pw_dir;
  fail("no home folder is known; set HOME or TIGERBOT_CACHE");
}

}  // namespace

fs::path cache_folder() {
  if (const char* own = std::getenv("TIGERBOT_CACHE"); own && *own) return own;
  // The XDG specification says that a relative path there is to be ignored.
  if (const char* xdg = std::getenv("XDG_CACHE_HOME"); xdg && *xdg == '/')
    return fs::path(xdg) / "tigerbot";
  return home_folder() / ".cache" / "tigerbot";
}

fs::path expand_home(std::string_view path) {
  if (path == "~") return home_folder();
  if (path.substr(0, 2) == "~/") return home_folder() / path.substr(2);
  return path;
}

}  // namespace tigerbot
