#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace tigerbot {

/// The element types of the safetensors format. The 8-bit floats are recognized, not computed with.
enum class SafetensorsType {
  kBool,
  kU8,
  kI8,
  kF8E5M2,
  kF8E4M3,
  kF8E8M0,
  kI16,
  kU16,
  kF16,
  kBF16,
  kI32,
  kU32,
  kF32,
  kI64,
  kU64,
  kF64,
};

/// As the header spells it: "BF16".
std::string_view safetensors_type_name(SafetensorsType type);
/// Bytes of one element.
std::int64_t safetensors_type_size(SafetensorsType type);

struct SafetensorsEntry {
  std::string name;
  SafetensorsType type = SafetensorsType::kF32;
  std::vector<std::int64_t> shape;
  std::uint64_t begin = 0;  ///< offset of the first byte from the start of the file
  std::uint64_t bytes = 0;
};

struct SafetensorsHeader {
  std::vector<SafetensorsEntry> entries;  ///< in the order of their data
  std::map<std::string, std::string> metadata;
};

/// Reads and checks the header of a safetensors file: `file` is the whole file, `path` names it in
/// errors. Every length, offset, overlap, hole, type, shape and alignment is checked, so that every
/// entry's bytes lie inside `file` and match its shape. Nothing is allocated on the word of a
/// count.
SafetensorsHeader parse_safetensors_header(std::span<const std::byte> file,
                                           const std::string& path);

/// The header's bytes (with the length in front and padding behind) for tensors whose data follow
/// in the order given; `begin` is ignored.
std::string format_safetensors_header(const std::vector<SafetensorsEntry>& entries,
                                      const std::map<std::string, std::string>& metadata);

}  // namespace tigerbot
