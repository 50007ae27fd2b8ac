// Each GGML type stores a row as blocks that share a scale. The block routines below are plain
// loops over fixed counts that the compiler turns into vector code; they are compiled twice, for
// the tree's base instruction set and for AVX2. Neither has fused multiply-add, which would round
// differently from the reference. The layouts are those of ggml-common.h.

#include "weights/dequantize.h"

#include <bit>
#include <cstring>

#include "base/error.h"
#include "ops/cpu/isa.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC optimize("O3")
#endif

namespace tigerbot {

float float16_to_float(std::uint16_t half) {
  const std::uint32_t sign = (half & 0x8000u) << 16;
  const std::uint32_t exponent = (half >> 10) & 31u;
  const std::uint32_t mantissa = half & 0x3FFu;
  if (exponent == 0) {  // zero and subnormals: mantissa * 2^-24
    const float value = static_cast<float>(mantissa) * 0x1p-24f;
    return std::bit_cast<float>(std::bit_cast<std::uint32_t>(value) | sign);
  }
  const std::uint32_t wide = exponent == 31 ? 255 : exponent + 112;
  return std::bit_cast<float>(sign | wide << 23 | mantissa << 13);
}

namespace {

std::uint16_t to_float16(float value) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  const std::uint32_t sign = bits >> 16 & 0x8000u;
  const std::uint32_t magnitude = bits & 0x7FFFFFFFu;
  if (magnitude > 0x7F800000u) {
    return static_cast<std::uint16_t>(sign | 0x7E00u | (magnitude >> 13 & 0x3FFu));
  }
  if (magnitude >= 0x47800000u) return static_cast<std::uint16_t>(sign | 0x7C00u);
  if (magnitude < 0x38800000u) {  // subnormal: let the float adder round at bit 2^-24
    const float rounded = std::bit_cast<float>(magnitude) + 0.5f;
    return static_cast<std::uint16_t>(sign | (std::bit_cast<std::uint32_t>(rounded) - 0x3F000000u));
  }
  const std::uint32_t odd = magnitude >> 13 & 1u;
  return static_cast<std::uint16_t>(sign | ((magnitude - 0x38000000u + 0xFFFu + odd) >> 13));
}

#define TIGERBOT_BLOCKS namespace plain
#include "weights/dequantize_blocks.inc"
#undef TIGERBOT_BLOCKS

#if defined(__x86_64__)
TIGERBOT_TARGET_BEGIN("avx,avx2,f16c")
#define TIGERBOT_BLOCKS namespace avx2
#include "weights/dequantize_blocks.inc"
#undef TIGERBOT_BLOCKS
TIGERBOT_TARGET_END
#endif

bool use_avx2() {
#if defined(__x86_64__)
  return cpu::best_isa() >= cpu::Isa::kAvx2;
#else
  return false;
#endif
}

}  // namespace

void dequantize(GgmlType type, const std::byte* blocks, std::int64_t count, float* values) {
  const auto* bytes = reinterpret_cast<const std::uint8_t*>(blocks);
#if defined(__x86_64__)
  if (use_avx2()) return avx2::dequantize(type, bytes, count, values);
#endif
  plain::dequantize(type, bytes, count, values);
}

void float_to_bfloat16(const float* values, std::int64_t count, std::uint16_t* halves) {
#if defined(__x86_64__)
  if (use_avx2()) return avx2::to_bfloat16(values, count, halves);
#endif
  plain::to_bfloat16(values, count, halves);
}

#if defined(__x86_64__)
namespace {
TIGERBOT_TARGET_BEGIN("avx,avx2,f16c")
std::int64_t to_float16_by_eight(const float* values, std::int64_t count, std::uint16_t* halves) {
  std::int64_t i = 0;
  for (; i + 8 <= count; i += 8) {
    const __m128i eight = _mm256_cvtps_ph(_mm256_loadu_ps(values + i), _MM_FROUND_TO_NEAREST_INT);
    _mm_storeu_si128(reinterpret_cast<__m128i*>(halves + i), eight);
  }
  return i;
}
TIGERBOT_TARGET_END
}  // namespace
#endif

void float_to_float16(const float* values, std::int64_t count, std::uint16_t* halves) {
  std::int64_t i = 0;
#if defined(__x86_64__)
  if (use_avx2()) i = to_float16_by_eight(values, count, halves);
#endif
  for (; i < count; ++i) halves[i] = to_float16(values[i]);
}

}  // namespace tigerbot
