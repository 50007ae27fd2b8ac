#pragma once

#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace tigerbot::train {

/// A TensorBoard event file: TFRecords (length, masked CRC-32C of it, bytes, masked CRC-32C of
/// them) of Event messages in protobuf. Written record by record and flushed, so that TensorBoard
/// can follow a run.
class EventFile {
 public:
  /// Creates events.out.tfevents.SECONDS.HOST.PID in `folder`. `first_step`: the step from which
  /// this run goes on; TensorBoard then forgets later points of files before.
  EventFile(const std::filesystem::path& folder, std::int64_t first_step);
  ~EventFile();
  EventFile(const EventFile&) = delete;
  EventFile& operator=(const EventFile&) = delete;

  using Scalars = std::vector<std::pair<std::string, double>>;
  void add_scalars(std::int64_t step, const Scalars& scalars);
  void add_text(std::int64_t step, const std::string& tag, const std::string& text);

 private:
  void write(std::string_view event);
  std::FILE* file_;
  std::filesystem::path path_;
};

/// CRC-32C (Castagnoli) of the bytes.
std::uint32_t crc32c(std::string_view bytes);

}  // namespace tigerbot::train
