#include "data/pipeline/sorted_rows.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstring>

#include "base/error.h"

namespace tigerbot::data {
namespace {

namespace fs = std::filesystem;

static_assert(std::endian::native == std::endian::little);

constexpr std::size_t kRowHeader = 20;

template <typename T>
void append_number(std::string& bytes, T value) {
  bytes.append(reinterpret_cast<const char*>(&value), sizeof(value));
}

template <typename T>
T number_at(const char* bytes) {
  T value;
  std::memcpy(&value, bytes, sizeof(value));
  return value;
}

/// A file of sorted rows that is read by offset.
class RowFile {
 public:
  explicit RowFile(const fs::path& path)
      : path_(path), descriptor_(::open(path.c_str(), O_RDONLY | O_CLOEXEC)) {
    if (descriptor_ < 0) fail("{}: cannot be read: {}", path_.string(), std::strerror(errno));
    struct stat status {};
    ::fstat(descriptor_, &status);
    size_ = static_cast<std::uint64_t>(status.st_size);
  }
  ~RowFile() { ::close(descriptor_); }
  RowFile(const RowFile&) = delete;
  RowFile& operator=(const RowFile&) = delete;

  std::uint64_t size() const { return size_; }

  void read(std::uint64_t offset, char* to, std::uint64_t length) const {
    if (offset > size_ || length > size_ - offset) damaged();
    while (length > 0) {
      const ssize_t got = ::pread(descriptor_, to, length, static_cast<off_t>(offset));
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) fail("{}: cannot be read: {}", path_.string(), std::strerror(errno));
      if (got == 0) damaged();
      to += got;
      offset += static_cast<std::uint64_t>(got);
      length -= static_cast<std::uint64_t>(got);
    }
  }

  [[noreturn]] void damaged() const {
    fail("{}: is damaged; remove it and run again", path_.string());
  }

 private:
  fs::path path_;
  int descriptor_;
  std::uint64_t size_ = 0;
};

}  // namespace

SortedRowsWriter::SortedRowsWriter(const fs::path& path, const std::vector<ShardRange>& shards,
                                   std::uint64_t memory)
    : file_(path), shards_(shards), memory_(memory) {}

void SortedRowsWriter::add(Split split, RowPlace place, std::string_view line) {
  if (!rows_.empty() && lines_.size() + line.size() + rows_.size() * sizeof(Row) > memory_)
    write_run();
  // Shards of a split are ascending ranges without gaps; train stands first.
  const auto at = std::lower_bound(shards_.begin(), shards_.end(), std::pair(split, place.place),
                                   [](const ShardRange& shard, const auto& wanted) {
                                     return std::pair(shard.split, shard.end) < wanted;
                                   });
  if (at == shards_.end() || at->split != split)
    fail_internal("a row of the {} split has no shard", split_name(split));
  rows_.push_back({static_cast<std::uint32_t>(at - shards_.begin()),
                   static_cast<std::uint32_t>(line.size()), place, lines_.size()});
  lines_ += line;
}

void SortedRowsWriter::write_run() {
  std::sort(rows_.begin(), rows_.end(), [](const Row& a, const Row& b) {
    return std::tie(a.shard, a.place) < std::tie(b.shard, b.place);
  });
  std::size_t next = 0;
  std::string header;
  for (std::size_t shard = 0; shard < shards_.size(); ++shard) {
    append_number<std::uint64_t>(table_, file_.size());
    for (; next < rows_.size() && rows_[next].shard == shard; ++next) {
      const Row& row = rows_[next];
      header.clear();
      append_number(header, row.place.place);
      append_number(header, row.place.document);
      append_number(header, row.place.copy);
      append_number(header, row.length);
      file_.write(header);
      file_.write(std::string_view(lines_).substr(row.offset, row.length));
    }
  }
  append_number<std::uint64_t>(table_, file_.size());
  rows_.clear();
  lines_.clear();
  ++runs_;
}

void SortedRowsWriter::commit() {
  if (!rows_.empty()) write_run();
  std::string footer;
  append_number(footer, runs_);
  append_number<std::uint64_t>(footer, file_.size());
  file_.write(table_);
  file_.write(footer);
  file_.commit();
}

void gather_rows(const fs::path& path, std::size_t shard, std::uint32_t unit, std::string& bytes,
                 std::vector<GatheredRow>& rows) {
  const RowFile file(path);
  if (file.size() < 16) file.damaged();
  char footer[16];
  file.read(file.size() - 16, footer, 16);
  const auto runs = number_at<std::uint64_t>(footer);
  const auto table = number_at<std::uint64_t>(footer + 8);
  if (runs == 0) return;
  if (table > file.size() - 16 || (file.size() - 16 - table) % (8 * runs) != 0) file.damaged();
  const std::uint64_t width = (file.size() - 16 - table) / runs;  // bytes of a run's part
  if ((shard + 2) * 8 > width) file.damaged();
  for (std::uint64_t run = 0; run < runs; ++run) {
    char ends[16];
    file.read(table + run * width + shard * 8, ends, 16);
    const auto begin = number_at<std::uint64_t>(ends), end = number_at<std::uint64_t>(ends + 8);
    if (begin > end || end > table) file.damaged();
    std::size_t at = bytes.size();
    bytes.resize(at + (end - begin));
    file.read(begin, bytes.data() + at, end - begin);
    while (at < bytes.size()) {
      if (bytes.size() - at < kRowHeader) file.damaged();
      const char* header = bytes.data() + at;
      const auto length = number_at<std::uint32_t>(header + 16);
      if (length > bytes.size() - at - kRowHeader) file.damaged();
      rows.push_back({number_at<std::uint64_t>(header), unit, number_at<std::uint32_t>(header + 8),
                      number_at<std::uint32_t>(header + 12), length, at + kRowHeader});
      at += kRowHeader + length;
    }
  }
}

}  // namespace tigerbot::data
