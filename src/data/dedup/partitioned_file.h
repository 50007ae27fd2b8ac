#pragma once

#include <cstdint>
#include <cstring>
#include <filesystem>
#include <span>
#include <string>
#include <type_traits>
#include <vector>

#include "base/files.h"

/// Records on their way from the tasks that make them to the tasks that need them: each task writes
/// one file whose records are sorted by the task that they go to, and each of those reads its slice
/// of every file. That is a sort on the disk in two passes, whatever the amount.
namespace tigerbot::data {

/// Whether the file is there and was written to its end. These files are not flushed to the disk,
/// so that after a power cut one may be there and not be whole.
bool is_whole_partitioned_file(const std::filesystem::path& path);

namespace detail {
void write_partitioned(const std::filesystem::path& path, std::span<const std::uint64_t> offsets,
                       std::string_view bytes, std::size_t record_size);
/// Partitions first to last - 1.
std::string read_partitions(const std::filesystem::path& path, std::size_t partitions,
                            std::size_t first, std::size_t last, std::size_t record_size);

template <typename Record>
void append_records(const std::string& bytes, std::vector<Record>& records) {
  static_assert(std::is_trivially_copyable_v<Record>);
  const std::size_t before = records.size(), count = bytes.size() / sizeof(Record);
  records.resize(before + count);
  if (count > 0) std::memcpy(records.data() + before, bytes.data(), bytes.size());
}
}  // namespace detail

/// Writes `records` (whole or not at all) for `partitions` readers; partition_of(record) is below
/// `partitions`. The order within a partition stays.
template <typename Record, typename PartitionOf>
void write_partitioned(const std::filesystem::path& path, std::span<const Record> records,
                       std::size_t partitions, PartitionOf partition_of) {
  static_assert(std::is_trivially_copyable_v<Record>);
  std::vector<std::uint64_t> offsets(partitions + 1, 0);  // in records
  for (const Record& record : records) ++offsets[partition_of(record) + 1];
  for (std::size_t p = 0; p < partitions; ++p) offsets[p + 1] += offsets[p];
  std::string bytes(records.size() * sizeof(Record), '\0');
  std::vector<std::uint64_t> next(offsets.begin(), offsets.end() - 1);
  for (const Record& record : records)
    std::memcpy(bytes.data() + sizeof(Record) * next[partition_of(record)]++, &record,
                sizeof(Record));
  detail::write_partitioned(path, offsets, bytes, sizeof(Record));
}

/// Appends one partition of a file to `records`. An Error if the file is damaged or was written for
/// another number of partitions.
template <typename Record>
void read_partition(const std::filesystem::path& path, std::size_t partitions,
                    std::size_t partition, std::vector<Record>& records) {
  detail::append_records(
      detail::read_partitions(path, partitions, partition, partition + 1, sizeof(Record)), records);
}

/// Appends all partitions, in their order.
template <typename Record>
void read_all_partitions(const std::filesystem::path& path, std::size_t partitions,
                         std::vector<Record>& records) {
  detail::append_records(detail::read_partitions(path, partitions, 0, partitions, sizeof(Record)),
                         records);
}

/// Writes a file of one-byte records whose partitions come one after another and need not fit into
/// memory: append() to the partition that is open, close_partition() to go on to the next one.
class PartitionedBytesWriter {
 public:
  PartitionedBytesWriter(const std::filesystem::path& path, std::size_t partitions);
  void append(std::string_view bytes);
  void close_partition();
  /// All partitions are closed.
  void commit();

 private:
  void flush();

  AtomicFile file_;
  std::vector<std::uint64_t> offsets_{0};
  std::size_t partitions_;
  std::string buffer_;
  std::uint64_t written_ = 0;  // bytes before the buffer's
};

/// Such a file, read at any place by any number of threads.
class PartitionedBytes {
 public:
  PartitionedBytes(std::filesystem::path path, std::size_t partitions);
  ~PartitionedBytes();
  PartitionedBytes(const PartitionedBytes&) = delete;
  PartitionedBytes& operator=(const PartitionedBytes&) = delete;

  /// One partition in `bytes`, whose old content is replaced.
  void read(std::size_t partition, std::string& bytes) const;

 private:
  std::filesystem::path path_;
  int descriptor_ = -1;
  std::size_t partitions_;
  std::uint64_t records_ = 0;
};

}  // namespace tigerbot::data
