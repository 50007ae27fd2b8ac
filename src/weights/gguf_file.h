#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "weights/ggml_types.h"

namespace tigerbot {

/// The types of GGUF's metadata values, with the numbers that the file stores.
enum class GgufValueType : std::uint32_t {
  kUint8 = 0,
  kInt8 = 1,
  kUint16 = 2,
  kInt16 = 3,
  kUint32 = 4,
  kInt32 = 5,
  kFloat32 = 6,
  kBool = 7,
  kString = 8,
  kArray = 9,
  kUint64 = 10,
  kInt64 = 11,
  kFloat64 = 12,
};

std::string_view gguf_value_type_name(GgufValueType type);

/// A list of values of one type. Numbers stay where they lie in the file; strings are views into
/// it.
struct GgufArray {
  GgufValueType type = GgufValueType::kUint8;
  std::uint64_t size = 0;
  std::span<const std::byte> numbers;     ///< of every type but strings and arrays; maybe unaligned
  std::vector<std::string_view> strings;  ///< kString
  std::vector<GgufArray> arrays;          ///< kArray

  std::int64_t integer(std::uint64_t index) const;  ///< of the integer types and kBool
  double number(std::uint64_t index) const;         ///< of every type of number
};

struct GgufValue {
  GgufValueType type = GgufValueType::kUint8;
  std::variant<std::uint64_t, std::int64_t, double, bool, std::string_view, GgufArray> value;
};

struct GgufTensorInfo {
  std::string_view name;
  const GgmlTypeInfo* type = nullptr;
  std::vector<std::int64_t>
      shape;                ///< outermost first, as PyTorch says it (GGUF stores it reversed)
  std::uint64_t begin = 0;  ///< from the start of the file
  std::uint64_t bytes = 0;
};

/// The header of a GGUF file (versions 2 and 3, little-endian): metadata and where the tensors lie.
/// Views point into the bytes that were parsed.
class GgufHeader {
 public:
  std::uint32_t version = 3;
  std::uint64_t alignment = 32;
  std::map<std::string_view, GgufValue> metadata;
  std::vector<GgufTensorInfo> tensors;  ///< in the order of the header
  std::string path;                     ///< for messages

  const GgufTensorInfo* find_tensor(std::string_view name) const;

  bool has(std::string_view key) const { return metadata.contains(key); }

  /// The value of a key; an Error if it has another type or does not fit. Nothing if it is missing.
  std::optional<std::string_view> find_string(std::string_view key) const;
  std::optional<std::int64_t> find_integer(std::string_view key) const;
  std::optional<double> find_number(std::string_view key) const;
  std::optional<bool> find_bool(std::string_view key) const;
  /// Nullptr if it is missing.
  const GgufArray* find_array(std::string_view key) const;

  /// As find_..., but a missing key is an Error.
  std::string_view get_string(std::string_view key) const;
  std::int64_t get_integer(std::string_view key) const;
  double get_number(std::string_view key) const;

 private:
  const GgufValue* look_up(std::string_view key) const;
  [[noreturn]] void wrong_type(std::string_view key, const GgufValue& value,
                               std::string_view wanted) const;
};

/// Reads and checks the header. `file` is the whole file, `path` names it in errors. Every count,
/// length, offset, type, shape, alignment and overlap is checked before it is used, so that every
/// tensor's bytes lie inside `file`; absurd lengths are refused without allocating for them.
GgufHeader parse_gguf_header(std::span<const std::byte> file, const std::string& path);

}  // namespace tigerbot
