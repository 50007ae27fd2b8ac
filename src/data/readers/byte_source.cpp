#include "data/readers/byte_source.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace tigerbot::data {
namespace {

class FileSource : public ByteSource {
 public:
  FileSource(const std::filesystem::path& file, std::uint64_t begin) {
    descriptor_ = ::open(file.c_str(), O_RDONLY | O_CLOEXEC);
    if (descriptor_ < 0) throw DamagedInput(fmt::format("cannot be read: {}", error_text()));
    struct stat status {};
    if (::fstat(descriptor_, &status) == 0 && S_ISDIR(status.st_mode)) {
      ::close(descriptor_);
      throw DamagedInput("is a folder, not a file");
    }
    ::posix_fadvise(descriptor_, 0, 0, POSIX_FADV_SEQUENTIAL);
    if (begin > 0 && ::lseek(descriptor_, static_cast<off_t>(begin), SEEK_SET) < 0) {
      const auto why = error_text();
      ::close(descriptor_);
      throw DamagedInput(fmt::format("cannot go to byte {}: {}", begin, why));
    }
  }
  ~FileSource() override { ::close(descriptor_); }
  FileSource(const FileSource&) = delete;
  FileSource& operator=(const FileSource&) = delete;

  std::size_t read(char* to, std::size_t size) override {
    while (true) {
      const auto got = ::read(descriptor_, to, size);
      if (got >= 0) {
        consumed_ += static_cast<std::uint64_t>(got);
        return static_cast<std::size_t>(got);
      }
      if (errno != EINTR) throw DamagedInput(fmt::format("cannot be read: {}", error_text()));
    }
  }
  std::uint64_t consumed() const override { return consumed_; }

 private:
  static std::string error_text() { return std::strerror(errno); }

  int descriptor_ = -1;
  std::uint64_t consumed_ = 0;
};

class MemorySource : public ByteSource {
 public:
  explicit MemorySource(std::string_view bytes) : bytes_(bytes) {}

  std::size_t read(char* to, std::size_t size) override {
    const auto part = bytes_.substr(at_, size);
    std::copy(part.begin(), part.end(), to);
    at_ += part.size();
    return part.size();
  }
  std::uint64_t consumed() const override { return at_; }

 private:
  std::string_view bytes_;
  std::size_t at_ = 0;
};

}  // namespace

std::unique_ptr<ByteSource> open_file(const std::filesystem::path& file, std::uint64_t begin) {
  return std::make_unique<FileSource>(file, begin);
}

std::unique_ptr<ByteSource> open_memory(std::string_view bytes) {
  return std::make_unique<MemorySource>(bytes);
}

}  // namespace tigerbot::data
