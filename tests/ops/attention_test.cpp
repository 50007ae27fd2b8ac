#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <c10/core/GradMode.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "ops/attention_composed.h"
#include "ops/attention_reference.h"
#include "ops/cpu/isa.h"

namespace tigerbot::ops {
namespace {

using cpu::Isa;
using cpu::ScopedIsaLimit;

struct Case {
  std::vector<std::int64_t> lengths;
  std::int64_t heads, kv_heads, dim;
  bool causal = true;
  std::int64_t window = 0;
  bool alibi = false;
};

std::vector<Case> cases() {
  return {
      {{1}, 1, 1, 1},
      {{1}, 4, 2, 64},
      {{2, 1, 3}, 3, 1, 5},
      {{17}, 2, 2, 16},
      {{130}, 9, 3, 64},
      {{600, 0, 37, 1}, 3, 1, 64},
      {{140, 129}, 2, 1, 128},
      {{1100}, 1, 1, 64},
      {{70}, 5, 5, 33},
      {{129, 5}, 8, 2, 80},
      {{50}, 120, 1, 24},
      {{64}, 2, 1, 256},
      {{31, 140}, 4, 4, 32, false},
      {{540}, 1, 1, 64, false},
      {{330}, 2, 1, 64, true, 100},
      {{100, 50}, 2, 2, 48, true, 1},
      {{800}, 2, 1, 16, true, 513},
      {{150, 9}, 6, 6, 40, true, 0, true},
      {{150}, 2, 1, 64, false, 0, true},
      {{260}, 4, 2, 72, true, 77, true},
      {{0}, 2, 1, 64},
  };
}

AttentionOptions options_of(const Case& c) {
  AttentionOptions options;
  options.causal = c.causal;
  options.sliding_window = c.window;
  if (c.alibi) options.alibi_slopes = alibi_slopes(c.heads);
  return options;
}

std::int64_t tokens_of(const Case& c) {
  std::int64_t tokens = 0;
  for (const std::int64_t length : c.lengths) tokens += length;
  return tokens;
}

std::string name_of(const Case& c) {
  std::string name = "lengths";
  for (const std::int64_t length : c.lengths) name += " " + std::to_string(length);
  return fmt::format("{}, heads {} of {}, dim {}, causal {}, window {}, alibi {}", name, c.heads,
                     c.kv_heads, c.dim, c.causal, c.window, c.alibi);
}

constexpr Isa kAllIsas[] = {Isa::kScalar, Isa::kAvx2, Isa::kAvx512, Isa::kAvx512Bf16};

class AttentionOfIsa : public testing::TestWithParam<Isa> {};

TEST_P(AttentionOfIsa, EqualsTheDefinition) {
  const ScopedIsaLimit limit(GetParam());
  const ScopedThreads threads(1);
  for (const Case& c : cases()) {
    SCOPED_TRACE(name_of(c));
    const Sequences sequences = make_sequences(c.lengths);
    for (const auto type : {at::kFloat, at::kBFloat16}) {
      const auto [q, k, v] = random_inputs(tokens_of(c), c.heads, c.kv_heads, c.dim, type);
      const at::Tensor expected = naive_attention(q, k, v, sequences, options_of(c));
      const at::Tensor actual = attention(q, k, v, sequences, options_of(c));
      EXPECT_EQ(actual.scalar_type(), type);
      EXPECT_LT(relative_error(actual, expected), type == at::kFloat ? 3e-6 : 8e-3);
    }
  }
}

TEST_P(AttentionOfIsa, GradientsEqualThoseOfAutogradInFloat64) {
  const ScopedIsaLimit limit(GetParam());
  const ScopedThreads threads(1);
  for (const Case& c : cases()) {
    SCOPED_TRACE(name_of(c));
    if (tokens_of(c) == 0) continue;
    const Sequences sequences = make_sequences(c.lengths);
    for (const auto type : {at::kFloat, at::kBFloat16}) {
      auto inputs = random_inputs(tokens_of(c), c.heads, c.kv_heads, c.dim, type);
      const at::Tensor weights = normal(inputs.q.sizes(), type, 9);
      std::vector<at::Tensor> exact;
      for (at::Tensor* x : {&inputs.q, &inputs.k, &inputs.v}) {
        exact.push_back(x->to(at::kDouble).set_requires_grad(true));
        x->set_requires_grad(true);
      }
      composed::attention(exact[0], exact[1], exact[2], sequences, options_of(c))
          .backward(weights.to(at::kDouble));
      attention(inputs.q, inputs.k, inputs.v, sequences, options_of(c)).backward(weights);
      const double bound = type == at::kFloat ? 5e-6 : 1.5e-2;
      EXPECT_LT(relative_error(inputs.q.grad(), exact[0].grad()), bound);
      EXPECT_LT(relative_error(inputs.k.grad(), exact[1].grad()), bound);
      EXPECT_LT(relative_error(inputs.v.grad(), exact[2].grad()), bound);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(EachIsa, AttentionOfIsa, testing::ValuesIn(kAllIsas),
                         [](const auto& info) { return std::string(cpu::isa_name(info.param)); });

TEST(Attention, InstructionSetsAgree) {
  const Sequences sequences = make_sequences({300, 41});
  const auto [q, k, v] = random_inputs(341, 6, 2, 64, at::kFloat);
  const at::Tensor best = attention(q, k, v, sequences);
  for (const Isa isa : kAllIsas) {
    const ScopedIsaLimit limit(isa);
    EXPECT_LT(relative_error(attention(q, k, v, sequences), best), 2e-6) << cpu::isa_name(isa);
  }
}

TEST(Attention, ComposedOfAtenEqualsTheDefinition) {
  const ScopedThreads threads(1);
  for (const Case& c : cases()) {
    SCOPED_TRACE(name_of(c));
    const Sequences sequences = make_sequences(c.lengths);
    const auto [q, k, v] = random_inputs(tokens_of(c), c.heads, c.kv_heads, c.dim, at::kDouble);
    const at::Tensor expected = naive_attention(q, k, v, sequences, options_of(c));
    EXPECT_LT(relative_error(attention(q, k, v, sequences, options_of(c)), expected), 1e-12);
    const at::Tensor half = composed::attention(q.to(at::kBFloat16), k.to(at::kBFloat16),
                                                v.to(at::kBFloat16), sequences, options_of(c));
    EXPECT_EQ(half.scalar_type(), at::kBFloat16);
    EXPECT_LT(relative_error(half, expected), 3e-2);
  }
}

TEST(Attention, GradientEqualsFiniteDifferencesInFloat64) {
  const ScopedThreads threads(1);
  const Sequences sequences = make_sequences({5, 3});
  for (const Case& c : {Case{{5, 3}, 4, 2, 6}, Case{{5, 3}, 2, 1, 5, false},
                        Case{{5, 3}, 3, 3, 4, true, 2, true}}) {
    SCOPED_TRACE(name_of(c));
    auto inputs = random_inputs(8, c.heads, c.kv_heads, c.dim, at::kDouble);
    const at::Tensor weights = normal(inputs.q.sizes(), at::kDouble, 5);
    std::vector<at::Tensor> x = {inputs.q, inputs.k, inputs.v};
    for (at::Tensor& t : x) t.set_requires_grad(true);
    const auto loss = [&] {
      return (attention(x[0], x[1], x[2], sequences, options_of(c)) * weights).sum();
    };
    loss().backward();
    // The kernels' gradient of the same function, in float32.
    std::vector<at::Tensor> single;
    for (const at::Tensor& t : x) {
      single.push_back(t.detach().to(at::kFloat).set_requires_grad(true));
    }
    attention(single[0], single[1], single[2], sequences, options_of(c))
        .backward(weights.to(at::kFloat));
    const c10::AutoGradMode no_gradients(false);
    for (int i = 0; i < 3; ++i) {
      at::Tensor numeric = at::zeros(x[i].sizes(), at::kDouble);
      for (std::int64_t j = 0; j < x[i].numel(); ++j) {
        double& value = x[i].data_ptr<double>()[j];
        const double saved = value;
        value = saved + 1e-5;
        const double up = loss().item<double>();
        value = saved - 1e-5;
        const double down = loss().item<double>();
        value = saved;
        numeric.data_ptr<double>()[j] = (up - down) / 2e-5;
      }
      EXPECT_LT(relative_error(x[i].grad(), numeric), 1e-8);
      EXPECT_LT(relative_error(single[i].grad(), numeric), 1e-5);
    }
  }
}

TEST(Attention, ASequenceHasTheSameBitsInAnyCompany) {
  for (const auto type : {at::kFloat, at::kBFloat16}) {
    const AttentionInputs x = random_inputs(900, 6, 2, 64, type);
    const at::Tensor together = attention(x.q, x.k, x.v, make_sequences({700, 3, 197}));
    const auto alone = [&x](std::int64_t first, std::int64_t length) {
      return attention(x.q.narrow(0, first, length), x.k.narrow(0, first, length),
                       x.v.narrow(0, first, length), make_sequences({length}));
    };
    EXPECT_TRUE(together.equal(at::cat({alone(0, 700), alone(700, 3), alone(703, 197)})));
  }
}

TEST(Attention, BitsDoNotDependOnTheNumberOfThreads) {
  const Sequences sequences = make_sequences({600, 130, 1});
  std::vector<std::vector<at::Tensor>> results;
  for (const int n : {1, 2, 5}) {
    const ScopedThreads threads(n);
    auto inputs = random_inputs(731, 6, 2, 64, at::kBFloat16);
    for (at::Tensor* x : {&inputs.q, &inputs.k, &inputs.v}) x->set_requires_grad(true);
    const at::Tensor output = attention(inputs.q, inputs.k, inputs.v, sequences);
    output.backward(normal(output.sizes(), at::kBFloat16, 4));
    results.push_back({output, inputs.q.grad(), inputs.k.grad(), inputs.v.grad()});
  }
  for (std::size_t i = 1; i < results.size(); ++i) {
    for (std::size_t j = 0; j < 4; ++j) EXPECT_TRUE(results[i][j].equal(results[0][j]));
  }
}

TEST(Attention, TakesSlicesOfAFusedProjection) {
  const at::Tensor qkv = normal({70, 6, 32}, at::kFloat, 3);
  const Sequences sequences = make_sequences({70});
  const at::Tensor q = qkv.narrow(1, 0, 4);
  const at::Tensor k = qkv.narrow(1, 4, 1);
  const at::Tensor v = qkv.narrow(1, 5, 1);
  const at::Tensor expected = attention(q.contiguous(), k.contiguous(), v.contiguous(), sequences);
  EXPECT_TRUE(attention(q, k, v, sequences).equal(expected));
  const at::Tensor transposed = q.transpose(1, 2).contiguous().transpose(1, 2);
  EXPECT_TRUE(attention(transposed, k, v, sequences).equal(expected));
}

TEST(Attention, LargeScoresDoNotOverflow) {
  const ScopedThreads threads(1);
  const Sequences sequences = make_sequences({300});
  auto [q, k, v] = random_inputs(300, 2, 1, 64, at::kFloat);
  q = q * 100;
  k = k * 100;
  AttentionOptions options;
  const at::Tensor actual = attention(q, k, v, sequences, options);
  EXPECT_LT(relative_error(actual, naive_attention(q, k, v, sequences, options)), 1e-2);
}

TEST(Attention, NotANumberReachesTheOutput) {
  for (const Isa isa : kAllIsas) {
    const ScopedIsaLimit limit(isa);
    auto [q, k, v] = random_inputs(20, 1, 1, 8, at::kFloat);
    k[10].fill_(NAN);
    const at::Tensor output = attention(q, k, v, make_sequences({20}));
    EXPECT_FALSE(output.narrow(0, 0, 10).isnan().any().item<bool>());
    EXPECT_TRUE(output.narrow(0, 10, 10).isnan().all().item<bool>()) << cpu::isa_name(isa);
  }
}

TEST(Attention, RefusesShapesThatDoNotFit) {
  const auto [q, k, v] = random_inputs(8, 4, 2, 16, at::kFloat);
  const Sequences sequences = make_sequences({8});
  EXPECT_THROW(attention(q, k.narrow(0, 0, 7), v.narrow(0, 0, 7), sequences), Error);
  EXPECT_THROW(attention(q, k.to(at::kBFloat16), v, sequences), Error);
  EXPECT_THROW(attention(q.narrow(1, 0, 3), k, v, sequences), Error);
  EXPECT_THROW(attention(q, k, v, make_sequences({7})), Error);
  AttentionOptions options;
  options.alibi_slopes = alibi_slopes(3);
  EXPECT_THROW(attention(q, k, v, sequences, options), Error);
  options = {};
  options.causal = false;
  options.sliding_window = 4;
  EXPECT_THROW(attention(q, k, v, sequences, options), Error);
}

}  // namespace
}  // namespace tigerbot::ops
