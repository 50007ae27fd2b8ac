#include "weights/ggml_types.h"

#include <algorithm>
#include <array>

namespace tigerbot {
namespace {

constexpr GgmlTypeInfo unreadable(std::uint32_t type, std::string_view name, std::int64_t elements,
                                  std::int64_t bytes) {
  return {static_cast<GgmlType>(type), name, elements, bytes, false};
}

constexpr std::array<GgmlTypeInfo, 35> kTypes = {{
    {GgmlType::kF32, "F32", 1, 4, true},
    {GgmlType::kF16, "F16", 1, 2, true},
    {GgmlType::kQ4_0, "Q4_0", 32, 18, true},
    {GgmlType::kQ4_1, "Q4_1", 32, 20, true},
    {GgmlType::kQ5_0, "Q5_0", 32, 22, true},
    {GgmlType::kQ5_1, "Q5_1", 32, 24, true},
    {GgmlType::kQ8_0, "Q8_0", 32, 34, true},
    {GgmlType::kQ2_K, "Q2_K", 256, 84, true},
    {GgmlType::kQ3_K, "Q3_K", 256, 110, true},
    {GgmlType::kQ4_K, "Q4_K", 256, 144, true},
    {GgmlType::kQ5_K, "Q5_K", 256, 176, true},
    {GgmlType::kQ6_K, "Q6_K", 256, 210, true},
    {GgmlType::kBF16, "BF16", 1, 2, true},
    {GgmlType::kI8, "I8", 1, 1, false},
    {GgmlType::kI16, "I16", 1, 2, false},
    {GgmlType::kI32, "I32", 1, 4, false},
    {GgmlType::kI64, "I64", 1, 8, false},
    {GgmlType::kF64, "F64", 1, 8, false},
    unreadable(9, "Q8_1", 32, 36),
    unreadable(15, "Q8_K", 256, 292),
    unreadable(16, "IQ2_XXS", 256, 66),
    unreadable(17, "IQ2_XS", 256, 74),
    unreadable(18, "IQ3_XXS", 256, 98),
    unreadable(19, "IQ1_S", 256, 50),
    unreadable(20, "IQ4_NL", 32, 18),
    unreadable(21, "IQ3_S", 256, 110),
    unreadable(22, "IQ2_S", 256, 82),
    unreadable(23, "IQ4_XS", 256, 136),
    unreadable(29, "IQ1_M", 256, 56),
    unreadable(34, "TQ1_0", 256, 54),
    unreadable(35, "TQ2_0", 256, 66),
    unreadable(39, "MXFP4", 32, 17),
    unreadable(40, "NVFP4", 64, 36),
    unreadable(41, "Q1_0", 128, 18),
    unreadable(42, "Q2_0", 64, 18),
}};

}  // namespace

const GgmlTypeInfo* find_ggml_type(std::uint32_t type) {
  const auto* found = std::ranges::find(kTypes, static_cast<GgmlType>(type), &GgmlTypeInfo::type);
  return found == kTypes.end() ? nullptr : found;
}

const GgmlTypeInfo* find_ggml_type(std::string_view name) {
  const auto* found = std::ranges::find(kTypes, name, &GgmlTypeInfo::name);
  return found == kTypes.end() ? nullptr : found;
}

const GgmlTypeInfo& ggml_type_info(GgmlType type) {
  return *std::ranges::find(kTypes, type, &GgmlTypeInfo::type);
}

}  // namespace tigerbot
