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

std::uint64_t data_start(std::size_t partitions) {
  return sizeof(Header) + (partitions + 1) * sizeof(std::uint64_t);
}

/// Checked against what the reader expects and the size of the file.
Header read_header(const std::filesystem::path& path, int descriptor, std::size_t partitions,
                   std::size_t record_size) {
  if (descriptor < 0) fail("{}: cannot be read: {}", path.string(), std::strerror(errno));
  struct stat status {};
  if (::fstat(descriptor, &status) != 0 || !S_ISREG(status.st_mode))
    fail("{}: is not a file", path.string());
  Header header;
  const Header right;
  read_at(path, descriptor, 0, &header, sizeof(header));
  if (std::memcmp(header.magic, right.magic, sizeof(header.magic)) != 0 ||
      header.partitions != partitions || header.record_size != record_size ||
      data_start(partitions) + header.records * record_size !=
          static_cast<std::uint64_t>(status.st_size))
    fail_damaged(path);
  return header;
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

std::string read_partitions(const std::filesystem::path& path, std::size_t partitions,
                            std::size_t first, std::size_t last, std::size_t record_size) {
  const Descriptor file{::open(path.c_str(), O_RDONLY | O_CLOEXEC)};
  const Header header = read_header(path, file.value, partitions, record_size);
  std::uint64_t range[2];
  read_at(path, file.value, sizeof(Header) + first * sizeof(std::uint64_t), &range[0],
          sizeof(range[0]));
  read_at(path, file.value, sizeof(Header) + last * sizeof(std::uint64_t), &range[1],
          sizeof(range[1]));
  if (range[0] > range[1] || range[1] > header.records) fail_damaged(path);
  std::string bytes((range[1] - range[0]) * record_size, '\0');
  read_at(path, file.value, data_start(partitions) + range[0] * record_size, bytes.data(),
          bytes.size());
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

PartitionedBytesWriter::PartitionedBytesWriter(const std::filesystem::path& path,
                                               std::size_t partitions)
    : file_(path), partitions_(partitions) {
  offsets_.reserve(partitions + 1);
}

void PartitionedBytesWriter::append(std::string_view bytes) {
  constexpr std::size_t kBuffer = 256 << 10;
  buffer_.append(bytes);
  if (buffer_.size() >= kBuffer) flush();
}

void PartitionedBytesWriter::flush() {
  file_.write_at(detail::data_start(partitions_) + written_, buffer_);
  written_ += buffer_.size();
  buffer_.clear();
}

void PartitionedBytesWriter::close_partition() { offsets_.push_back(written_ + buffer_.size()); }

void PartitionedBytesWriter::commit() {
  if (offsets_.size() != partitions_ + 1)
    fail_internal("{} of {} partitions", offsets_.size() - 1, partitions_);
  flush();
  detail::Header header;
  header.partitions = partitions_;
  header.record_size = 1;
  header.records = offsets_.back();
  // The offsets are known only now.
  std::string start(reinterpret_cast<const char*>(&header), sizeof(header));
  start.append(reinterpret_cast<const char*>(offsets_.data()),
               offsets_.size() * sizeof(std::uint64_t));
  file_.write_at(0, start);
  file_.commit(/*flush=*/false);
}

PartitionedBytes::PartitionedBytes(std::filesystem::path path, std::size_t partitions)
    : path_(std::move(path)), partitions_(partitions) {
  descriptor_ = ::open(path_.c_str(), O_RDONLY | O_CLOEXEC);
  try {
    records_ = detail::read_header(path_, descriptor_, partitions, 1).records;
  } catch (...) {
    if (descriptor_ >= 0) ::close(descriptor_);
    throw;
  }
}

PartitionedBytes::~PartitionedBytes() { ::close(descriptor_); }

void PartitionedBytes::read(std::size_t partition, std::string& bytes) const {
  if (partition >= partitions_)
    fail_internal("{}: there is no partition {}", path_.string(), partition);
  std::uint64_t range[2];
  detail::read_at(path_, descriptor_, sizeof(detail::Header) + partition * sizeof(std::uint64_t),
                  range, sizeof(range));
  if (range[0] > range[1] || range[1] > records_) detail::fail_damaged(path_);
  bytes.resize(range[1] - range[0]);
  detail::read_at(path_, descriptor_, detail::data_start(partitions_) + range[0], bytes.data(),
                  bytes.size());
}

}  // namespace tigerbot::data
