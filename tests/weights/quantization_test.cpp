#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include "ops/cpu/isa.h"
#include "weights/dequantize.h"
#include "weights/files_for_tests.h"
#include "weights/gguf_quantized.h"
#include "weights/quantize.h"

namespace tigerbot {
namespace {

std::vector<float> floats_of(const std::string& bytes) {
  std::vector<float> values(bytes.size() / sizeof(float));
  std::memcpy(values.data(), bytes.data(), bytes.size());
  return values;
}

class Dequantize : public testing::TestWithParam<std::tuple<const char*, cpu::Isa>> {};

TEST_P(Dequantize, GivesTheReferencesBits) {
  const auto [name, isa] = GetParam();
  const cpu::ScopedIsaLimit limit(isa);
  const GgmlTypeInfo* info = find_ggml_type(std::string_view(name));
  ASSERT_TRUE(info && info->readable);
  const std::string blocks = get_file(golden(std::string(name) + ".blocks"));
  const std::vector<float> expected = floats_of(get_file(golden(std::string(name) + ".floats")));
  ASSERT_EQ(static_cast<std::int64_t>(blocks.size()) / info->block_bytes * info->block_elements,
            static_cast<std::int64_t>(expected.size()));
  std::vector<float> values(expected.size());
  dequantize(info->type, reinterpret_cast<const std::byte*>(blocks.data()),
             static_cast<std::int64_t>(values.size()), values.data());
  for (std::size_t i = 0; i < values.size(); ++i) {
    ASSERT_EQ(std::bit_cast<std::uint32_t>(values[i]), std::bit_cast<std::uint32_t>(expected[i]))
        << i << ": " << values[i] << " and " << expected[i];
  }
}

INSTANTIATE_TEST_SUITE_P(EveryType, Dequantize,
                         testing::Combine(testing::Values("Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0",
                                                          "Q2_K", "Q3_K", "Q4_K", "Q5_K", "Q6_K"),
                                          testing::Values(cpu::Isa::kScalar,
                                                          cpu::Isa::kAvx512Bf16)),
                         [](const auto& info) {
                           return std::string(std::get<0>(info.param)) + "_" +
                                  std::string(cpu::isa_name(std::get<1>(info.param)));
                         });

TEST_P(Dequantize, PartsOfAQuantizedWeightAreTheSameNumbers) {
  const auto [name, isa] = GetParam();
  const cpu::ScopedIsaLimit limit(isa);
  const GgmlTypeInfo& info = *find_ggml_type(std::string_view(name));
  const std::string blocks = get_file(golden(std::string(name) + ".blocks"));
  const std::vector<float> expected = floats_of(get_file(golden(std::string(name) + ".floats")));
  const std::int64_t in = info.block_elements;
  const std::int64_t out = static_cast<std::int64_t>(expected.size()) / in;
  ASSERT_TRUE(has_ggml_parts(info.type));
  // Stored from the last row to the first.
  const ops::QuantizedWeight weight(
      ggml_parts(info.type, reinterpret_cast<const std::byte*>(blocks.data()), out, in,
                 [&](std::int64_t row) { return out - 1 - row; }));
  const at::Tensor values = weight.dequantize(at::kFloat);
  for (std::int64_t row = 0; row < out; ++row) {
    const float* from = values.const_data_ptr<float>() + row * in;
    for (std::int64_t i = 0; i < in; ++i) {
      const float wanted = expected[static_cast<std::size_t>((out - 1 - row) * in + i)];
      ASSERT_NEAR(from[i], wanted, 1e-6F * std::abs(wanted) + 1e-9F) << row << ", " << i;
    }
  }
}

class Quantize : public testing::TestWithParam<const char*> {};

TEST_P(Quantize, GivesTheReferencesBits) {
  const GgmlTypeInfo* info = find_ggml_type(std::string_view(GetParam()));
  ASSERT_TRUE(info && can_quantize(info->type));
  const std::vector<float> values = floats_of(get_file(golden("quantize.floats")));
  const std::string expected = get_file(golden(std::string("quantize.") + GetParam()));
  std::string blocks(expected.size(), '\0');
  ASSERT_TRUE(quantize(info->type, values.data(), static_cast<std::int64_t>(values.size()),
                       reinterpret_cast<std::byte*>(blocks.data())));
  for (std::size_t i = 0; i < blocks.size(); ++i) {
    ASSERT_EQ(static_cast<int>(blocks[i]), static_cast<int>(expected[i])) << "byte " << i;
  }
}

INSTANTIATE_TEST_SUITE_P(EveryType, Quantize,
                         testing::Values("Q8_0", "Q4_0", "Q4_1", "BF16", "F16"),
                         [](const auto& info) { return std::string(info.param); });

TEST(Quantize, RefusesWhatIsNotFinite) {
  std::vector<float> values(32, 1.0f);
  std::byte block[64];
  for (const auto type : {GgmlType::kQ8_0, GgmlType::kQ4_0, GgmlType::kQ4_1}) {
    values[7] = std::numeric_limits<float>::quiet_NaN();
    EXPECT_FALSE(quantize(type, values.data(), 32, block));
    values[7] = std::numeric_limits<float>::infinity();
    EXPECT_FALSE(quantize(type, values.data(), 32, block));
    values[7] = 1.0f;
    EXPECT_TRUE(quantize(type, values.data(), 32, block));
  }
}

// Every half, through float and back.
TEST(Float16, EveryValueSurvivesARoundTrip) {
  for (const auto isa : {cpu::Isa::kScalar, cpu::Isa::kAvx512Bf16}) {
    const cpu::ScopedIsaLimit limit(isa);
    for (std::uint32_t half = 0; half < 65536; ++half) {
      const float value = float16_to_float(static_cast<std::uint16_t>(half));
      if (std::isnan(value)) continue;
      std::uint16_t again[8] = {};
      const float eight[8] = {value, value, value, value, value, value, value, value};
      float_to_float16(eight, 8, again);
      ASSERT_EQ(again[3], half);
    }
  }
}

TEST(Float16, TheVectorAndTheScalarWayRoundTheSame) {
  std::uint32_t state = 1;
  for (int i = 0; i < 20000; ++i) {
    float values[8];
    for (float& value : values) {
      state = state * 1664525u + 1013904223u;
      // Exponents where halves are normal, subnormal, zero and infinite.
      value = std::bit_cast<float>((state & 0x80FFFFFFu) | (90u + (state >> 8) % 60u) << 23);
    }
    std::uint16_t vector[8];
    float_to_float16(values, 8, vector);
    std::uint16_t scalar[8];
    for (int j = 0; j < 8; ++j) float_to_float16(values + j, 1, scalar + j);
    for (int j = 0; j < 8; ++j) ASSERT_EQ(vector[j], scalar[j]) << values[j];
  }
}

TEST(BFloat16, RoundsToNearestEven) {
  const std::pair<std::uint32_t, std::uint16_t> cases[] = {
      {0x3F800000, 0x3F80}, {0x3F808000, 0x3F80}, {0x3F808001, 0x3F81}, {0x3F818000, 0x3F82},
      {0x7F7FFFFF, 0x7F80}, {0x7F800000, 0x7F80}, {0x7F800001, 0x7FC0}, {0xFF800001, 0xFFC0}};
  for (const auto& [bits, expected] : cases) {
    const float value = std::bit_cast<float>(bits);
    std::uint16_t half = 0;
    float_to_bfloat16(&value, 1, &half);
    EXPECT_EQ(half, expected) << std::hex << bits;
  }
}

}  // namespace
}  // namespace tigerbot
