#include "train/event_file.h"

#include <unistd.h>

#include <array>
#include <bit>
#include <chrono>
#include <cstring>

#include "base/error.h"
#include "base/files.h"

namespace tigerbot::train {
namespace {

constexpr std::array<std::uint32_t, 256> crc_table() {
  std::array<std::uint32_t, 256> table{};
  for (std::uint32_t i = 0; i < 256; ++i) {
    std::uint32_t value = i;
    for (int bit = 0; bit < 8; ++bit) value = value & 1 ? 0x82F63B78 ^ (value >> 1) : value >> 1;
    table[i] = value;
  }
  return table;
}

/// Of a CRC stored beside the data that it guards (TFRecord's rule).
std::uint32_t masked(std::uint32_t crc) { return ((crc >> 15) | (crc << 17)) + 0xA282EAD8; }

// Protobuf's wire format: https://protobuf.dev/programming-guides/encoding/
void put_varint(std::string& out, std::uint64_t value) {
  for (; value >= 0x80; value >>= 7) out.push_back(static_cast<char>(value | 0x80));
  out.push_back(static_cast<char>(value));
}
template <typename T>
void put_fixed(std::string& out, T value) {
  char bytes[sizeof(T)];
  std::memcpy(bytes, &value, sizeof(T));
  out.append(bytes, sizeof(T));
}
void put_tag(std::string& out, int field, int wire_type) {
  put_varint(out, static_cast<std::uint64_t>(field << 3 | wire_type));
}
void put_bytes(std::string& out, int field, std::string_view bytes) {
  put_tag(out, field, 2);
  put_varint(out, bytes.size());
  out.append(bytes);
}
void put_integer(std::string& out, int field, std::int64_t value) {
  put_tag(out, field, 0);
  put_varint(out, static_cast<std::uint64_t>(value));
}

double now() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

/// Event.wall_time and Event.step (tensorflow/core/util/event.proto).
std::string event_of(std::int64_t step) {
  std::string event;
  put_tag(event, 1, 1);
  put_fixed(event, now());
  put_integer(event, 2, step);
  return event;
}

}  // namespace

std::uint32_t crc32c(std::string_view bytes) {
  static constexpr std::array<std::uint32_t, 256> kTable = crc_table();
  std::uint32_t crc = 0xFFFFFFFF;
  for (const char byte : bytes) {
    crc = kTable[(crc ^ static_cast<unsigned char>(byte)) & 0xFF] ^ (crc >> 8);
  }
  return ~crc;
}

EventFile::EventFile(const std::filesystem::path& folder, std::int64_t first_step) {
  create_folders(folder);
  std::array<char, 256> host{};
  gethostname(host.data(), host.size() - 1);
  path_ = folder / fmt::format("events.out.tfevents.{:010}.{}.{}", static_cast<std::int64_t>(now()),
                               host.data(), getpid());
  file_ = std::fopen(path_.c_str(), "ab");
  if (!file_) fail("{}: cannot be written: {}", path_.string(), std::strerror(errno));
  std::string version = event_of(0);
  put_bytes(version, 3, "brain.Event:2");  // file_version
  write(version);
  if (first_step > 0) {
    std::string start = event_of(first_step);
    std::string log;
    put_integer(log, 1, 1);  // SessionLog.status = START
    put_bytes(start, 7, log);
    write(start);
  }
}

EventFile::~EventFile() { std::fclose(file_); }

void EventFile::write(std::string_view event) {
  std::string record;
  put_fixed(record, static_cast<std::uint64_t>(event.size()));
  put_fixed(record, masked(crc32c(record)));
  record.append(event);
  put_fixed(record, masked(crc32c(event)));
  // A full disk must not end a run for the sake of its curves: the checkpoints will speak.
  std::fwrite(record.data(), 1, record.size(), file_);
  std::fflush(file_);
}

void EventFile::add_scalars(std::int64_t step, const Scalars& scalars) {
  std::string summary;
  for (const auto& [tag, value] : scalars) {
    std::string entry;
    put_bytes(entry, 1, tag);
    put_tag(entry, 2, 5);  // simple_value
    put_fixed(entry, static_cast<float>(value));
    put_bytes(summary, 1, entry);
  }
  std::string event = event_of(step);
  put_bytes(event, 5, summary);
  write(event);
}

void EventFile::add_text(std::int64_t step, const std::string& tag, const std::string& text) {
  // A string tensor with the plugin "text" (tensorboard/plugins/text/metadata.py).
  std::string tensor;
  put_integer(tensor, 1, 7);   // DT_STRING
  put_bytes(tensor, 2, "");    // a scalar's shape
  put_bytes(tensor, 8, text);  // string_val
  std::string plugin;
  put_bytes(plugin, 1, "text");
  std::string metadata;
  put_bytes(metadata, 1, plugin);
  std::string entry;
  put_bytes(entry, 1, tag);
  put_bytes(entry, 8, tensor);
  put_bytes(entry, 9, metadata);
  std::string summary;
  put_bytes(summary, 1, entry);
  std::string event = event_of(step);
  put_bytes(event, 5, summary);
  write(event);
}

}  // namespace tigerbot::train
