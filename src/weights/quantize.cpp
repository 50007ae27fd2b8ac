#include "weights/quantize.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "base/error.h"
#include "weights/dequantize.h"

namespace tigerbot {
namespace {

constexpr int kBlock = 32;

void store_half(float value, std::byte* at) {
  std::uint16_t half;
  float_to_float16(&value, 1, &half);
  std::memcpy(at, &half, 2);
}

bool all_finite(const float* values) {
  bool finite = true;
  for (int i = 0; i < kBlock; ++i) finite &= std::isfinite(values[i]);
  return finite;
}

// Truncates like the reference's cast to int8, which wraps only where d is subnormal and 1 / d
// huge.
int truncated(float value) { return static_cast<int>(std::clamp(value, -128.0f, 127.0f)); }

void store_nibbles(const int* values, std::byte* at) {
  for (int i = 0; i < kBlock / 2; ++i) {
    at[i] = static_cast<std::byte>(values[i] | values[i + kBlock / 2] << 4);
  }
}

// The value of the largest magnitude becomes -8 exactly.
void q4_0(const float* x, std::byte* block) {
  float largest = 0;
  for (int i = 0; i < kBlock; ++i) {
    if (std::fabs(largest) < std::fabs(x[i])) largest = x[i];
  }
  const float d = largest / -8;
  const float inverse = d != 0 ? 1 / d : 0;
  store_half(d, block);
  int q[kBlock];
  for (int i = 0; i < kBlock; ++i) {
    const float scaled = x[i] * inverse;
    q[i] = std::min(15, truncated(scaled + 8.5f)) & 15;
  }
  store_nibbles(q, block + 2);
}

void q4_1(const float* x, std::byte* block) {
  const auto [low, high] = std::minmax_element(x, x + kBlock);
  const float minimum = *low;
  const float d = (*high - minimum) / 15;
  const float inverse = d != 0 ? 1 / d : 0;
  store_half(d, block);
  store_half(minimum, block + 2);
  int q[kBlock];
  for (int i = 0; i < kBlock; ++i) {
    const float scaled = (x[i] - minimum) * inverse;
    q[i] = std::min(15, truncated(scaled + 0.5f)) & 15;
  }
  store_nibbles(q, block + 4);
}

void q8_0(const float* x, std::byte* block) {
  float largest = 0;
  for (int i = 0; i < kBlock; ++i) largest = std::max(largest, std::fabs(x[i]));
  const float d = largest / 127;
  const float inverse = d != 0 ? 1 / d : 0;
  store_half(d, block);
  for (int i = 0; i < kBlock; ++i) {
    const int q = truncated(std::round(x[i] * inverse));
    block[2 + i] = static_cast<std::byte>(static_cast<std::int8_t>(q));
  }
}

}  // namespace

bool can_quantize(GgmlType type) {
  return type == GgmlType::kF32 || type == GgmlType::kF16 || type == GgmlType::kBF16 ||
         type == GgmlType::kQ8_0 || type == GgmlType::kQ4_0 || type == GgmlType::kQ4_1;
}

bool quantize(GgmlType type, const float* values, std::int64_t count, std::byte* blocks) {
  if (type == GgmlType::kF32) {
    std::memcpy(blocks, values, static_cast<std::size_t>(count) * sizeof(float));
    return true;
  }
  if (type == GgmlType::kF16) {
    float_to_float16(values, count, reinterpret_cast<std::uint16_t*>(blocks));
    return true;
  }
  if (type == GgmlType::kBF16) {
    float_to_bfloat16(values, count, reinterpret_cast<std::uint16_t*>(blocks));
    return true;
  }
  const std::int64_t block_bytes = ggml_type_info(type).block_bytes;
  for (std::int64_t i = 0; i < count / kBlock; ++i) {
    const float* x = values + i * kBlock;
    std::byte* block = blocks + i * block_bytes;
    if (!all_finite(x)) return false;
    if (type == GgmlType::kQ4_0) {
      q4_0(x, block);
    } else if (type == GgmlType::kQ4_1) {
      q4_1(x, block);
    } else if (type == GgmlType::kQ8_0) {
      q8_0(x, block);
    } else {
      fail_internal("{} is not written", ggml_type_info(type).name);
    }
  }
  return true;
}

}  // namespace tigerbot
