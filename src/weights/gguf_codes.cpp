#include "weights/gguf_codes.h"

#include <cstring>

#include "weights/dequantize.h"

namespace tigerbot {
namespace {

constexpr std::int64_t kBlock = 32;

/// Rows may not mix groups within a block.
bool groups_hold_whole_blocks(const ops::QuantizedParts& parts) {
  const std::int64_t in = parts.group_of.size(0);
  if (in % kBlock != 0) return false;
  const auto* group = parts.group_of.const_data_ptr<std::int32_t>();
  for (std::int64_t i = 0; i < in; ++i) {
    if (group[i] != group[i / kBlock * kBlock]) return false;
  }
  return true;
}

/// fn(code less zero) of every weight, until one is false.
template <class Function>
bool all_steps(const ops::QuantizedParts& parts, const Function& fn) {
  const std::int64_t out = parts.codes.size(0);
  const std::int64_t in = parts.codes.size(1);
  const auto* codes = parts.codes.const_data_ptr<std::uint8_t>();
  const auto* zeros = parts.zeros.const_data_ptr<std::int16_t>();
  const auto* group = parts.group_of.const_data_ptr<std::int32_t>();
  for (std::int64_t r = 0; r < out; ++r) {
    for (std::int64_t j = 0; j < in; ++j) {
      if (!fn(codes[r * in + j] - zeros[group[j] * out + r])) return false;
    }
  }
  return true;
}

void store_half(float value, std::byte* at) {
  std::uint16_t half;
  float_to_float16(&value, 1, &half);
  std::memcpy(at, &half, 2);
}

}  // namespace

bool can_hold_codes(GgmlType type, const ops::QuantizedParts& parts) {
  if (!groups_hold_whole_blocks(parts)) return false;
  if (type == GgmlType::kQ4_1) return parts.bits <= 4;
  if (type == GgmlType::kQ4_0) {
    return parts.bits <= 4 && all_steps(parts, [](int step) { return step >= -8 && step <= 7; });
  }
  return type == GgmlType::kQ8_0 &&
         all_steps(parts, [](int step) { return step >= -128 && step <= 127; });
}

void write_blocks_of_codes(GgmlType type, const ops::QuantizedParts& parts, std::int64_t row,
                           std::byte* blocks) {
  const std::int64_t out = parts.codes.size(0);
  const std::int64_t in = parts.codes.size(1);
  const auto* codes = parts.codes.const_data_ptr<std::uint8_t>() + row * in;
  const auto* group = parts.group_of.const_data_ptr<std::int32_t>();
  const std::int64_t block_bytes = ggml_type_info(type).block_bytes;
  for (std::int64_t first = 0; first < in; first += kBlock, blocks += block_bytes) {
    const std::int64_t place = group[first] * out + row;
    const auto scale = static_cast<float>(parts.scales.const_data_ptr<at::Half>()[place]);
    const int zero = parts.zeros.const_data_ptr<std::int16_t>()[place];
    store_half(scale, blocks);
    std::byte* at = blocks + 2;
    if (type == GgmlType::kQ8_0) {
      for (std::int64_t i = 0; i < kBlock; ++i) {
        at[i] = static_cast<std::byte>(static_cast<std::int8_t>(codes[first + i] - zero));
      }
      continue;
    }
    int shift = 0;
    if (type == GgmlType::kQ4_1) {
      store_half(-scale * static_cast<float>(zero), at);
      at += 2;
    } else {
      shift = 8 - zero;
    }
    for (std::int64_t i = 0; i < kBlock / 2; ++i) {
      const int low = codes[first + i] + shift;
      const int high = codes[first + i + kBlock / 2] + shift;
      at[i] = static_cast<std::byte>(low | high << 4);
    }
  }
}

}  // namespace tigerbot
