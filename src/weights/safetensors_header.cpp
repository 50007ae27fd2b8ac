#include "weights/safetensors_header.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <nlohmann/json.hpp>
#include <unordered_set>

#include "base/error.h"
#include "base/text.h"

namespace tigerbot {
namespace {

static_assert(std::endian::native == std::endian::little, "the format and we are little-endian");

// The limit of the reference implementation.
constexpr std::uint64_t kMaxHeaderBytes = 100'000'000;
constexpr std::size_t kMaxDimensions = 32;

struct TypeInfo {
  SafetensorsType type;
  std::string_view name;
  std::int64_t size;
};

constexpr std::array<TypeInfo, 16> kTypes = {{
    {SafetensorsType::kBool, "BOOL", 1},
    {SafetensorsType::kU8, "U8", 1},
    {SafetensorsType::kI8, "I8", 1},
    {SafetensorsType::kF8E5M2, "F8_E5M2", 1},
    {SafetensorsType::kF8E4M3, "F8_E4M3", 1},
    {SafetensorsType::kF8E8M0, "F8_E8M0", 1},
    {SafetensorsType::kI16, "I16", 2},
    {SafetensorsType::kU16, "U16", 2},
    {SafetensorsType::kF16, "F16", 2},
    {SafetensorsType::kBF16, "BF16", 2},
    {SafetensorsType::kI32, "I32", 4},
    {SafetensorsType::kU32, "U32", 4},
    {SafetensorsType::kF32, "F32", 4},
    {SafetensorsType::kI64, "I64", 8},
    {SafetensorsType::kU64, "U64", 8},
    {SafetensorsType::kF64, "F64", 8},
}};

// Takes the header's events as they come: the document is at most three levels deep and its keys
// are known, so no tree is built, and a key that stands twice is seen.
class HeaderHandler : public nlohmann::json_sax<nlohmann::json> {
 public:
  explicit HeaderHandler(const std::string& path) : path_(path) {}

  SafetensorsHeader take() { return std::move(header_); }

  bool null() override { return unexpected("null"); }
  bool boolean(bool) override { return unexpected("true or false"); }
  bool number_float(double, const std::string& text) override { return unexpected(text); }
  bool binary(nlohmann::json::binary_t&) override { return unexpected("binary data"); }
  bool number_integer(std::int64_t value) override { return unexpected(std::to_string(value)); }

  bool number_unsigned(std::uint64_t value) override {
    if (state_ == State::kShape) {
      if (value > INT64_MAX) return unexpected(std::to_string(value));
      if (entry_.shape.size() == kMaxDimensions) {
        fail("{}: tensor {} has more than {} dimensions; the file is damaged", path_,
             quote(entry_.name), kMaxDimensions);
      }
      entry_.shape.push_back(static_cast<std::int64_t>(value));
      return true;
    }
    if (state_ == State::kOffsets && offsets_ < 2) {
      (offsets_ == 0 ? entry_.begin : end_) = value;
      ++offsets_;
      return true;
    }
    return unexpected(std::to_string(value));
  }

  bool string(std::string& value) override {
    if (state_ == State::kMetadata) {
      header_.metadata[key_] = value;
      return true;
    }
    if (state_ != State::kEntry || key_ != "dtype") return unexpected(quote(value));
    const auto* info = std::ranges::find(kTypes, value, &TypeInfo::name);
    if (info == kTypes.end()) {
      fail(
          "{}: tensor {} has the unknown type {}; known are F64 F32 F16 BF16, I64 to I8, "
          "U64 to U8, BOOL and the 8-bit floats",
          path_, quote(entry_.name), quote(value));
    }
    entry_.type = info->type;
    return true;
  }

  bool start_object(std::size_t) override {
    if (state_ == State::kStart) {
      state_ = State::kTop;
    } else if (state_ == State::kTop) {
      keys_.clear();
      if (key_ == "__metadata__") {
        state_ = State::kMetadata;
      } else {
        state_ = State::kEntry;
        entry_ = {};
        entry_.name = key_;
        end_ = 0;
        offsets_ = 0;
      }
    } else {
      return unexpected("an object");
    }
    return true;
  }

  bool key(std::string& name) override {
    const bool fresh =
        state_ == State::kTop ? names_.insert(name).second : keys_.insert(name).second;
    if (!fresh) {
      fail("{}: the header names {} twice{}; write the file again with one of each", path_,
           quote(name), state_ == State::kEntry ? " in tensor " + quote(entry_.name) : "");
    }
    if (state_ == State::kEntry && name != "dtype" && name != "shape" && name != "data_offsets") {
      fail("{}: tensor {} has the unknown key {}; known are dtype, shape, data_offsets", path_,
           quote(entry_.name), quote(name));
    }
    key_ = name;
    return true;
  }

  bool end_object() override {
    if (state_ == State::kEntry) {
      for (const char* needed : {"dtype", "shape", "data_offsets"}) {
        if (!keys_.contains(needed)) {
          fail("{}: tensor {} has no \"{}\"; the header is damaged", path_, quote(entry_.name),
               needed);
        }
      }
      if (end_ < entry_.begin) {
        fail("{}: tensor {} ends at byte {} before it begins at {}", path_, quote(entry_.name),
             end_, entry_.begin);
      }
      entry_.bytes = end_ - entry_.begin;
      header_.entries.push_back(std::move(entry_));
      state_ = State::kTop;
    } else if (state_ == State::kMetadata) {
      state_ = State::kTop;
    } else {
      state_ = State::kDone;
    }
    return true;
  }

  bool start_array(std::size_t) override {
    if (state_ != State::kEntry || (key_ != "shape" && key_ != "data_offsets")) {
      return unexpected("a list");
    }
    state_ = key_ == "shape" ? State::kShape : State::kOffsets;
    return true;
  }

  bool end_array() override {
    if (state_ == State::kOffsets && offsets_ != 2) {
      fail("{}: tensor {} needs two data_offsets, not {}", path_, quote(entry_.name), offsets_);
    }
    state_ = State::kEntry;
    return true;
  }

  bool parse_error(std::size_t position, const std::string&,
                   const nlohmann::detail::exception&) override {
    fail("{}: the header is not valid JSON at byte {}; the file is damaged or no safetensors file",
         path_, position + 8);
  }

 private:
  enum class State { kStart, kTop, kMetadata, kEntry, kShape, kOffsets, kDone };

  bool unexpected(const std::string& what) const {
    fail(
        "{}: the header has {} where it cannot stand (at {}); the file is damaged or no "
        "safetensors file",
        path_, what, quote(key_));
  }

  const std::string& path_;
  SafetensorsHeader header_;
  State state_ = State::kStart;
  std::string key_;
  std::unordered_set<std::string> names_;  // at the top
  std::unordered_set<std::string> keys_;   // in the object we are in
  SafetensorsEntry entry_;
  std::uint64_t end_ = 0;
  int offsets_ = 0;
};

std::string shape_text(const std::vector<std::int64_t>& shape) {
  return fmt::format("[{}]", fmt::join(shape, ", "));
}

// Bytes that the shape and type ask for.
std::uint64_t expected_bytes(const SafetensorsEntry& entry, const std::string& path) {
  auto bytes = static_cast<std::uint64_t>(safetensors_type_size(entry.type));
  for (const std::int64_t size : entry.shape) {
    if (__builtin_mul_overflow(bytes, static_cast<std::uint64_t>(size), &bytes)) {
      fail("{}: tensor {} has the absurd shape {}; the file is damaged", path, quote(entry.name),
           shape_text(entry.shape));
    }
  }
  return bytes;
}

void check_layout(SafetensorsHeader& header, std::uint64_t data_bytes, std::uint64_t data_begin,
                  const std::string& path) {
  std::ranges::stable_sort(header.entries, {}, [](const SafetensorsEntry& entry) {
    return std::pair(entry.begin, entry.bytes);
  });
  std::uint64_t position = 0;
  const SafetensorsEntry* before = nullptr;
  for (SafetensorsEntry& entry : header.entries) {
    const std::uint64_t expected = expected_bytes(entry, path);
    if (entry.bytes != expected) {
      fail("{}: tensor {} of shape {} and type {} needs {} bytes, the header gives it {}", path,
           quote(entry.name), shape_text(entry.shape), safetensors_type_name(entry.type), expected,
           entry.bytes);
    }
    if (entry.begin < position) {
      fail("{}: tensors {} and {} overlap; the file is damaged", path, quote(before->name),
           quote(entry.name));
    }
    if (entry.begin > position) {
      fail("{}: {} bytes before tensor {} belong to no tensor; the file is damaged", path,
           entry.begin - position, quote(entry.name));
    }
    if (entry.begin % static_cast<std::uint64_t>(safetensors_type_size(entry.type)) != 0) {
      fail(
          "{}: tensor {} of type {} begins at byte {} of the data, which is not aligned to its "
          "type; save the file again with the safetensors library",
          path, quote(entry.name), safetensors_type_name(entry.type), entry.begin);
    }
    if (entry.bytes > data_bytes - position) {
      fail("{}: truncated: tensor {} ends at byte {}, the file at {}; fetch it again", path,
           quote(entry.name), data_begin + entry.begin + entry.bytes, data_begin + data_bytes);
    }
    position += entry.bytes;
    before = &entry;
    entry.begin += data_begin;
  }
  if (position != data_bytes) {
    fail("{}: {} bytes follow the last tensor and belong to none; the file is damaged", path,
         data_bytes - position);
  }
}

}  // namespace

std::string_view safetensors_type_name(SafetensorsType type) {
  return std::ranges::find(kTypes, type, &TypeInfo::type)->name;
}

std::int64_t safetensors_type_size(SafetensorsType type) {
  return std::ranges::find(kTypes, type, &TypeInfo::type)->size;
}

SafetensorsHeader parse_safetensors_header(std::span<const std::byte> file,
                                           const std::string& path) {
  if (file.size() < 8) {
    fail("{}: {} bytes are too few for a safetensors file; fetch it again", path, file.size());
  }
  std::uint64_t length = 0;
  std::memcpy(&length, file.data(), 8);
  if (length > kMaxHeaderBytes) {
    fail(
        "{}: a header of {} bytes exceeds the format's limit of {}; this is no safetensors file or "
        "a damaged one",
        path, length, kMaxHeaderBytes);
  }
  if (length > file.size() - 8) {
    fail("{}: truncated: the header has {} bytes and the file only {}; fetch it again", path,
         length, file.size());
  }
  const std::string_view json(reinterpret_cast<const char*>(file.data()) + 8, length);
  if (json.empty() || json.front() != '{') {
    fail("{}: the header does not begin with '{{'; this is no safetensors file", path);
  }
  HeaderHandler handler(path);
  nlohmann::json::sax_parse(json, &handler);
  SafetensorsHeader header = handler.take();
  check_layout(header, file.size() - 8 - length, 8 + length, path);
  return header;
}

std::string format_safetensors_header(const std::vector<SafetensorsEntry>& entries,
                                      const std::map<std::string, std::string>& metadata) {
  nlohmann::ordered_json json = nlohmann::ordered_json::object();
  if (!metadata.empty()) json["__metadata__"] = metadata;
  std::uint64_t begin = 0;
  for (const SafetensorsEntry& entry : entries) {
    json[entry.name] = {{"dtype", safetensors_type_name(entry.type)},
                        {"shape", entry.shape},
                        {"data_offsets", {begin, begin + entry.bytes}}};
    begin += entry.bytes;
  }
  std::string text = json.dump();
  text.resize((text.size() + 7) / 8 * 8, ' ');
  const std::uint64_t length = text.size();
  std::string header(8, '\0');
  std::memcpy(header.data(), &length, 8);
  return header + text;
}

}  // namespace tigerbot
