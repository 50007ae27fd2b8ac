#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace tigerbot {

/// The tensor types of GGML, with the numbers that GGUF stores.
enum class GgmlType : std::uint32_t {
  kF32 = 0,
  kF16 = 1,
  kQ4_0 = 2,
  kQ4_1 = 3,
  kQ5_0 = 6,
  kQ5_1 = 7,
  kQ8_0 = 8,
  kQ2_K = 10,
  kQ3_K = 11,
  kQ4_K = 12,
  kQ5_K = 13,
  kQ6_K = 14,
  kI8 = 24,
  kI16 = 25,
  kI32 = 26,
  kI64 = 27,
  kF64 = 28,
  kBF16 = 30,
};

struct GgmlTypeInfo {
  GgmlType type;
  std::string_view name;        ///< "Q4_K"
  std::int64_t block_elements;  ///< elements that share scales
  std::int64_t block_bytes;
  bool readable;  ///< whether we turn it into numbers; the others are only inspected
};

/// Nothing if GGML has no such type (or a newer one than we know).
const GgmlTypeInfo* find_ggml_type(std::uint32_t type);
const GgmlTypeInfo* find_ggml_type(std::string_view name);
const GgmlTypeInfo& ggml_type_info(GgmlType type);

}  // namespace tigerbot
