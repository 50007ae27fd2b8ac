#include "workflow/digest.h"

#include <fcntl.h>
#include <glob.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "base/error.h"
#include "base/files.h"
#include "base/hash.h"

namespace tigerbot::workflow {
namespace {

namespace fs = std::filesystem;

/// What changes when a file does.
Json stamp_of(const struct stat& status) {
  return {{"size", status.st_size},
          {"seconds", status.st_mtim.tv_sec},
          {"nanoseconds", status.st_mtim.tv_nsec},
          {"inode", status.st_ino}};
}

std::string digest_of_descriptor(int descriptor, const fs::path& path) {
  Digest digest(Digest::Kind::kSha256);
  std::vector<char> piece(1 << 20);
  while (true) {
    const ssize_t got = ::read(descriptor, piece.data(), piece.size());
    if (got == 0) return digest.finish_hex();
    if (got > 0) {
      digest.update({piece.data(), static_cast<std::size_t>(got)});
    } else if (errno != EINTR) {
      fail("{}: cannot be read: {}", path.string(), std::strerror(errno));
    }
  }
}

}  // namespace

Digests::Digests(const Json& memory) {
  if (!memory.is_object()) return;
  for (const auto& [path, entry] : memory.items()) {
    if (entry.is_object() && entry.contains("stamp") && entry.contains("sha256")) {
      memory_[path] = entry;
    }
  }
}

std::string Digests::of_file(const fs::path& path) {
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) fail("{}: cannot be read: {}", path.string(), std::strerror(errno));
  struct stat status {};
  ::fstat(descriptor, &status);
  const Json stamp = stamp_of(status);
  Json& entry = memory_[path.string()];
  try {
    if (entry.is_null() || entry["stamp"] != stamp) {
      entry = {{"stamp", stamp}, {"sha256", digest_of_descriptor(descriptor, path)}};
    }
  } catch (...) {
    ::close(descriptor);
    throw;
  }
  ::close(descriptor);
  return entry["sha256"];
}

std::string Digests::of(const fs::path& path) {
  if (!fs::is_directory(path)) return of_file(path);
  std::vector<fs::path> files;
  for (const auto& entry : fs::recursive_directory_iterator(path)) {
    if (entry.is_regular_file()) files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  Digest digest(Digest::Kind::kSha256);
  for (const fs::path& file : files) {
    digest.update(fs::relative(file, path).generic_string());
    digest.update(std::string_view("\0", 1));
    digest.update(of_file(file));
    digest.update("\n");
  }
  return digest.finish_hex();
}

std::string Digests::of_pattern(const std::string& pattern) {
  const std::vector<fs::path> paths = matches(pattern);
  if (paths.empty()) return "";
  if (paths.size() == 1 && paths.front().string() == expand_home(pattern).string()) {
    return of(paths.front());
  }
  Digest digest(Digest::Kind::kSha256);
  for (const fs::path& path : paths) {
    digest.update(path.filename().string());
    digest.update(std::string_view("\0", 1));
    digest.update(of(path));
    digest.update("\n");
  }
  return digest.finish_hex();
}

void Digests::moved(const fs::path& from, const fs::path& to) {
  const std::string before = from.string() + "/";
  std::map<std::string, Json> renamed;
  for (auto& [path, entry] : memory_) {
    const bool inside = path.starts_with(before);
    renamed[inside ? to.string() + "/" + path.substr(before.size()) : path] = std::move(entry);
  }
  memory_ = std::move(renamed);
}

Json Digests::to_json() const {
  Json json = Json::object();
  for (const auto& [path, entry] : memory_) {
    if (fs::exists(path)) json[path] = entry;
  }
  return json;
}

std::vector<fs::path> matches(const std::string& pattern) {
  const std::string expanded = expand_home(pattern).string();
  if (fs::exists(expanded)) return {expanded};
  if (expanded.find_first_of("*?[{") == std::string::npos) return {};
  glob_t found{};
  std::vector<fs::path> paths;
  if (::glob(expanded.c_str(), GLOB_BRACE, nullptr, &found) == 0) {
    for (std::size_t k = 0; k < found.gl_pathc; ++k) paths.emplace_back(found.gl_pathv[k]);
  }
  ::globfree(&found);
  std::sort(paths.begin(), paths.end());
  return paths;
}

std::uint64_t disk_usage(const fs::path& folder) {
  std::uint64_t bytes = 0;
  std::error_code error;
  // Files come and go while a stage works.
  for (fs::recursive_directory_iterator at(folder, error), end; !error && at != end;
       at.increment(error)) {
    struct stat status {};
    if (::lstat(at->path().c_str(), &status) == 0 && S_ISREG(status.st_mode)) {
      bytes += static_cast<std::uint64_t>(status.st_blocks) * 512;
    }
  }
  return bytes;
}

}  // namespace tigerbot::workflow
