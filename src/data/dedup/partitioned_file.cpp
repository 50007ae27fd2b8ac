#include "data/dedup/partitioned_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "base/error.h"
#include "base/files.h"

namespace tigerbot::data::detail {
namespace {

/// The file is this, partitions + 1 offsets (u64, in records), then the records.
struct Header {
  char magic[8] = {'T', 'B', 'P', 'A', 'R', 'T', '1', '\n'};
  std::uint64_t partitions = 0, record_size = 0, records = 0;
};

struct Descriptor {
  int value;
  ~Descriptor() { ::close(value); }
};

[[noreturn]] void fail_damaged(const std::filesystem::path& path) {
  fail("{}: was changed or not written to its end; remove it and run again", path.string());
}

void read_at(const std::filesystem::path& path, int descriptor, std::uint64_t offset, void* to,
             std::size_t length) {
  auto* at = static_cast<char*>(to);
  while (length > 0) {
    const ssize_t got = ::pread(descriptor, at, length, static_cast<off_t>(offset));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) fail("{}: cannot be read: {}", path.string(), std::strerror(errno));
    if (got == 0) fail_damaged(path);
    at += got;
    offset += static_cast<std::uint64_t>(got);
    length -= static_cast<std::size_t>(got);
  }
}

}  // namespace

void write_partitioned(const std::filesystem::path& path, std::span<const std::uint64_t> offsets,
                       std::string_view bytes, std::size_t record_size) {
  Header header;
  header.partitions = offsets.size() - 1;
  header.record_size = record_size;
  header.records = offsets.back();
  AtomicFile file(path);
  file.write({reinterpret_cast<const char*>(&header), sizeof(header)});
  file.write({reinterpret_cast<const char*>(offsets.data()), offsets.size_bytes()});
  file.write(bytes);
  file.commit(/*flush=*/false);
}

std::string read_partition(const std::filesystem::path& path, std::size_t partitions,
                           std::size_t partition, std::size_t record_size) {
  const Descriptor file{::open(path.c_str(), O_RDONLY | O_CLOEXEC)};
  if (file.value < 0) fail("{}: cannot be read: {}", path.string(), std::strerror(errno));
  struct stat status {};
  if (::fstat(file.value, &status) != 0 || !S_ISREG(status.st_mode))
    fail("{}: is not a file", path.string());
  Header header;
  const Header right;
  read_at(path, file.value, 0, &header, sizeof(header));
  const std::uint64_t data = sizeof(Header) + (partitions + 1) * sizeof(std::uint64_t);
  if (std::memcmp(header.magic, right.magic, sizeof(header.magic)) != 0 ||
      header.partitions != partitions || header.record_size != record_size ||
      data + header.records * record_size != static_cast<std::uint64_t>(status.st_size))
    fail_damaged(path);
  std::uint64_t range[2];
  read_at(path, file.value, sizeof(Header) + partition * sizeof(std::uint64_t), range,
          sizeof(range));
  if (range[0] > range[1] || range[1] > header.records) fail_damaged(path);
  std::string bytes((range[1] - range[0]) * record_size, '\0');
  read_at(path, file.value, data + range[0] * record_size, bytes.data(), bytes.size());
  return bytes;
}

}  // namespace tigerbot::data::detail

namespace tigerbot::data {

bool is_whole_partitioned_file(const std::filesystem::path& path) {
  std::error_code error;
  const std::uint64_t size = std::filesystem::file_size(path, error);
  if (error || size < sizeof(detail::Header)) return false;
  const detail::Descriptor file{::open(path.c_str(), O_RDONLY | O_CLOEXEC)};
  detail::Header header;
  const detail::Header right;
  if (file.value < 0 ||
      ::pread(file.value, &header, sizeof(header), 0) != static_cast<ssize_t>(sizeof(header)))
    return false;
  return std::memcmp(header.magic, right.magic, sizeof(header.magic)) == 0 &&
         size == sizeof(header) + (header.partitions + 1) * sizeof(std::uint64_t) +
                     header.records * header.record_size;
}

}  // namespace tigerbot::data
