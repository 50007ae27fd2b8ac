#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "ops/attention_reference.h"
#include "ops/cpu/isa.h"

namespace tigerbot::ops {
namespace {

/// The inputs of tests/golden/attention.py.
at::Tensor formula(at::IntArrayRef shape, std::int64_t seed, at::ScalarType type) {
  at::Tensor x = at::empty(shape, at::kFloat);
  for (std::int64_t i = 0; i < x.numel(); ++i) {
    x.data_ptr<float>()[i] = static_cast<float>((i * 7919 + seed * 104729) % 97 - 48) / 32;
  }
  return x.to(type);
}

double error_of_kept_rows(const at::Tensor& actual, const nlohmann::json& expected) {
  const at::Tensor kept = actual.slice(0, 0, std::nullopt, 10).contiguous().to(at::kDouble);
  at::Tensor golden = at::empty(kept.sizes(), at::kDouble);
  const auto values = expected.get<std::vector<double>>();
  EXPECT_EQ(static_cast<std::int64_t>(values.size()), kept.numel());
  std::copy(values.begin(), values.end(), golden.data_ptr<double>());
  return relative_error(kept, golden);
}

TEST(AttentionGolden, EqualsPyTorch) {
  const ScopedThreads threads(1);
  std::ifstream file(TIGERBOT_SOURCE_DIR "/tests/golden/attention.json");
  const nlohmann::json golden = nlohmann::json::parse(file);
  const Sequences sequences = make_sequences(golden.at("lengths").get<std::vector<std::int64_t>>());
  const std::int64_t heads = golden.at("heads");
  const std::int64_t kv_heads = golden.at("kv_heads");
  const std::int64_t dim = golden.at("head_dim");
  for (const auto& golden_case : golden.at("cases")) {
    AttentionOptions options;
    options.causal = golden_case.at("causal");
    options.sliding_window = golden_case.at("sliding_window");
    const auto slopes = golden_case.at("alibi_slopes").get<std::vector<float>>();
    if (!slopes.empty()) {
      options.alibi_slopes = at::empty({heads}, at::kFloat);
      std::copy(slopes.begin(), slopes.end(), options.alibi_slopes.data_ptr<float>());
    }
    SCOPED_TRACE(testing::Message() << "causal " << options.causal << ", window "
                                    << options.sliding_window << ", alibi " << !slopes.empty());
    for (const auto isa :
         {cpu::Isa::kScalar, cpu::Isa::kAvx2, cpu::Isa::kAvx512, cpu::Isa::kAvx512Bf16}) {
      const cpu::ScopedIsaLimit limit(isa);
      for (const auto type : {at::kDouble, at::kFloat, at::kBFloat16}) {
        const double bound = type == at::kDouble ? 1e-6 : type == at::kFloat ? 5e-6 : 1.5e-2;
        const auto leaf = [&](std::int64_t n, std::int64_t seed) {
          return formula({sequences.tokens(), n, dim}, seed, type).set_requires_grad(true);
        };
        const at::Tensor q = leaf(heads, 1);
        const at::Tensor k = leaf(kv_heads, 2);
        const at::Tensor v = leaf(kv_heads, 3);
        const at::Tensor output = attention(q, k, v, sequences, options);
        output.backward(formula(output.sizes(), 4, type));
        EXPECT_LT(error_of_kept_rows(output, golden_case.at("output")), bound);
        EXPECT_LT(error_of_kept_rows(q.grad(), golden_case.at("query_gradient")), bound);
        EXPECT_LT(error_of_kept_rows(k.grad(), golden_case.at("key_gradient")), bound);
        EXPECT_LT(error_of_kept_rows(v.grad(), golden_case.at("value_gradient")), bound);
      }
    }
  }
}

}  // namespace
}  // namespace tigerbot::ops
