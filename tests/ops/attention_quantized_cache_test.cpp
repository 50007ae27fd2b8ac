#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>
#include <gtest/gtest.h>

#include <functional>
#include <limits>

#include "base/error.h"
#include "ops/attention_composed.h"
#include "ops/attention_reference.h"
#include "ops/cpu/isa.h"

namespace tigerbot::ops {
namespace {

using cpu::Isa;
using cpu::ScopedIsaLimit;

constexpr Isa kEachIsa[] = {Isa::kScalar, Isa::kAvx2, Isa::kAvx512, Isa::kAvx512Bf16};

/// A quantized cache of garbage: scales are NaN where nothing was written.
TestCache make_quantized_cache(const std::vector<std::int64_t>& capacities, std::int64_t kv_heads,
                               std::int64_t block_size, std::int64_t dim) {
  TestCache result = make_cache(capacities, kv_heads, block_size, dim, at::kFloat);
  PagedKeyValues& cache = result.cache;
  const auto shape = cache.keys.sizes().slice(0, 3).vec();
  for (at::Tensor* side : {&cache.keys, &cache.values}) {
    *side = at::full(cache.keys.sizes(), 55, at::kChar);
  }
  cache.key_scales = at::full(shape, NAN, at::kFloat);
  cache.value_scales = at::full(shape, NAN, at::kFloat);
  return result;
}

/// What `integers` and `scales` hold of a sequence: [tokens, kv_heads, d] in float64.
at::Tensor stored(const at::Tensor& integers, const at::Tensor& scales, const BlockTables& tables,
                  std::int64_t sequence, std::int64_t tokens) {
  std::vector<at::Tensor> rows;
  for (std::int64_t t = 0; t < tokens; ++t) {
    const auto block = tables.blocks[sequence][t / integers.size(2)].item<std::int32_t>();
    rows.push_back(integers[block].select(1, t % integers.size(2)).to(at::kDouble) *
                   scales[block].select(1, t % integers.size(2)).to(at::kDouble).unsqueeze(1));
  }
  return at::stack(rows);
}

/// Runs whole sequences through a quantized cache, at most `chunk` tokens of each a step; the
/// outputs in the order of a whole ragged run, and the cache as it is then.
struct CachedRun {
  at::Tensor outputs;
  TestCache cache;
};

CachedRun run_in_chunks(const AttentionInputs& x, const std::vector<std::int64_t>& lengths,
                        std::int64_t chunk, std::int64_t block_size,
                        const AttentionOptions& options, bool composed_of_aten = false) {
  CachedRun run{at::zeros(x.q.sizes(), x.q.options()),
                make_quantized_cache(lengths, x.k.size(1), block_size, x.q.size(2))};
  const Sequences whole = make_sequences(lengths);
  std::vector<std::int64_t> done(lengths.size(), 0);
  for (bool more = true; more;) {
    std::vector<std::int64_t> now(lengths.size());
    std::vector<at::Tensor> q, k, v;
    more = false;
    for (std::size_t i = 0; i < lengths.size(); ++i) {
      now[i] = std::min(chunk, lengths[i] - done[i]);
      const std::int64_t first = whole.cu_seqlens[i] + done[i];
      q.push_back(x.q.narrow(0, first, now[i]));
      k.push_back(x.k.narrow(0, first, now[i]));
      v.push_back(x.v.narrow(0, first, now[i]));
      run.cache.tables.context_lengths[i] = static_cast<std::int32_t>(done[i] + now[i]);
    }
    const Sequences step = make_sequences(now, done);
    const auto store = composed_of_aten ? composed::store_key_values : store_key_values;
    const auto attend = composed_of_aten ? composed::paged_attention : paged_attention;
    store(at::cat(k), at::cat(v), step, run.cache.tables, run.cache.cache);
    const at::Tensor output = attend(at::cat(q), run.cache.cache, step, run.cache.tables, options);
    for (std::size_t i = 0; i < lengths.size(); ++i) {
      run.outputs.narrow(0, whole.cu_seqlens[i] + done[i], now[i])
          .copy_(output.narrow(0, step.cu_seqlens[i], now[i]));
      done[i] += now[i];
      more = more || done[i] < lengths[i];
    }
  }
  return run;
}

/// Attention by its definition over what the cache holds.
at::Tensor expected_outputs(const AttentionInputs& x, const std::vector<std::int64_t>& lengths,
                            const TestCache& test, const AttentionOptions& options) {
  std::vector<at::Tensor> k, v;
  for (std::size_t i = 0; i < lengths.size(); ++i) {
    const auto sequence = static_cast<std::int64_t>(i);
    k.push_back(stored(test.cache.keys, test.cache.key_scales, test.tables, sequence, lengths[i]));
    v.push_back(
        stored(test.cache.values, test.cache.value_scales, test.tables, sequence, lengths[i]));
  }
  return naive_attention(x.q, at::cat(k), at::cat(v), make_sequences(lengths), options);
}

class QuantizedCacheOfIsa : public testing::TestWithParam<Isa> {};

TEST_P(QuantizedCacheOfIsa, IsReadAsItsIntegersTimesItsScales) {
  const ScopedIsaLimit limit(GetParam());
  const ScopedThreads threads(1);
  const std::vector<std::int64_t> lengths = {150, 1, 33};
  for (const auto type : {at::kFloat, at::kBFloat16}) {
    for (const std::int64_t dim : {64, 10, 48}) {
      const AttentionInputs x = random_inputs(184, 6, 2, dim, type);
      for (const bool windowed : {false, true}) {
        AttentionOptions options;
        if (windowed) options.sliding_window = 40;
        if (windowed) options.alibi_slopes = alibi_slopes(6);
        const CachedRun run = run_in_chunks(x, lengths, 150, 16, options);
        const at::Tensor expected = expected_outputs(x, lengths, run.cache, options);
        EXPECT_LT(relative_error(run.outputs, expected), type == at::kFloat ? 2e-6 : 6e-3)
            << dim << (windowed ? " windowed" : "");
      }
    }
  }
}

TEST_P(QuantizedCacheOfIsa, HasTheSameBitsHoweverThePromptIsCut) {
  const ScopedIsaLimit limit(GetParam());
  const ScopedThreads threads(1);
  const std::vector<std::int64_t> lengths = {590, 1, 33};
  for (const auto type : {at::kFloat, at::kBFloat16}) {
    const AttentionInputs x = random_inputs(624, 3, 1, 48, type);
    const at::Tensor whole = run_in_chunks(x, lengths, 590, 16, {}).outputs;
    for (const std::int64_t chunk : {129, 37}) {
      EXPECT_TRUE(run_in_chunks(x, lengths, chunk, 16, {}).outputs.equal(whole)) << chunk;
    }
    EXPECT_TRUE(run_in_chunks(x, lengths, 200, 5, {}).outputs.equal(whole)) << "small blocks";
    const AttentionInputs alone = {x.q.narrow(0, 591, 33), x.k.narrow(0, 591, 33),
                                   x.v.narrow(0, 591, 33)};
    EXPECT_TRUE(run_in_chunks(alone, {33}, 1, 16, {}).outputs.equal(whole.narrow(0, 591, 33)));
  }
}

INSTANTIATE_TEST_SUITE_P(EachIsa, QuantizedCacheOfIsa, testing::ValuesIn(kEachIsa),
                         [](const auto& info) { return std::string(cpu::isa_name(info.param)); });

TEST(QuantizedCache, HoldsTheSameIntegersWhoeverWritesThem) {
  const ScopedThreads threads(1);
  for (const auto type : {at::kFloat, at::kBFloat16}) {
    for (const std::int64_t dim : {64, 7}) {
      const AttentionInputs x = random_inputs(50, 2, 2, dim, type);
      const CachedRun reference = run_in_chunks(x, {50}, 50, 8, {}, /*composed_of_aten=*/true);
      for (const Isa isa : kEachIsa) {
        const ScopedIsaLimit limit(isa);
        const CachedRun run = run_in_chunks(x, {50}, 50, 8, {});
        const PagedKeyValues& ours = run.cache.cache;
        const PagedKeyValues& theirs = reference.cache.cache;
        EXPECT_TRUE(ours.keys.equal(theirs.keys)) << cpu::isa_name(isa);
        EXPECT_TRUE(ours.values.equal(theirs.values)) << cpu::isa_name(isa);
        EXPECT_TRUE(ours.key_scales.nan_to_num(-1).equal(theirs.key_scales.nan_to_num(-1)));
        EXPECT_TRUE(ours.value_scales.nan_to_num(-1).equal(theirs.value_scales.nan_to_num(-1)));
        EXPECT_LT(relative_error(run.outputs, reference.outputs),
                  type == at::kFloat ? 2e-6 : 1.2e-2);
      }
    }
  }
}

TEST(QuantizedCache, IsWithinHalfAStepOfWhatWasWritten) {
  const AttentionInputs x = random_inputs(40, 4, 2, 64, at::kFloat);
  const CachedRun run = run_in_chunks(x, {40}, 40, 16, {});
  const at::Tensor k =
      stored(run.cache.cache.keys, run.cache.cache.key_scales, run.cache.tables, 0, 40);
  const at::Tensor step = x.k.to(at::kDouble).abs().amax(2, true) / 127;
  EXPECT_LE(((k - x.k.to(at::kDouble)).abs() / step).max().item<double>(), 0.5 + 1e-4);
  // The largest number of each head is there whole.
  EXPECT_LT((k.abs().amax(2, true) / step - 127).abs().max().item<double>(), 1e-4);
}

TEST(QuantizedCache, ZerosStayZerosAndWhatIsNotFiniteStaysSo) {
  for (const auto type : {at::kFloat, at::kBFloat16}) {
    for (const Isa isa : kEachIsa) {
      const ScopedIsaLimit limit(isa);
      AttentionInputs x = random_inputs(5, 1, 1, 20, type);
      x.k[1].fill_(0);
      x.v[1].fill_(1e-35);
      x.k[2][0][19] = std::numeric_limits<float>::infinity();
      x.v[3][0][0] = NAN;
      for (const bool composed_of_aten : {false, true}) {
        const CachedRun run = run_in_chunks(x, {5}, 5, 8, {}, composed_of_aten);
        const auto row = [&](const at::Tensor& integers, const at::Tensor& scales, std::int64_t t) {
          return stored(integers, scales, run.cache.tables, 0, 5)[t];
        };
        const PagedKeyValues& cache = run.cache.cache;
        EXPECT_EQ(row(cache.keys, cache.key_scales, 1).abs().max().item<double>(), 0);
        EXPECT_EQ(row(cache.values, cache.value_scales, 1).abs().max().item<double>(), 0);
        EXPECT_TRUE(row(cache.keys, cache.key_scales, 2).isnan().all().item<bool>());
        EXPECT_TRUE(row(cache.values, cache.value_scales, 3).isnan().all().item<bool>());
        EXPECT_TRUE(run.outputs[4].isnan().any().item<bool>());
      }
    }
  }
}

TEST(QuantizedCache, LongContextHasTheSameBitsOnAnyNumberOfThreads) {
  const AttentionInputs x = random_inputs(3000, 3, 1, 64, at::kBFloat16);
  TestCache cache = make_quantized_cache({3000}, 1, 16, 64);
  cache.tables.context_lengths[0] = 3000;
  store_key_values(x.k, x.v, make_sequences({3000}), cache.tables, cache.cache);
  std::vector<at::Tensor> results;
  for (const int n : {1, 2, 3}) {
    const ScopedThreads threads(n);
    results.push_back(paged_attention(x.q.narrow(0, 2999, 1), cache.cache,
                                      make_sequences({1}, {2999}), cache.tables));
  }
  EXPECT_TRUE(results[1].equal(results[0]));
  EXPECT_TRUE(results[2].equal(results[0]));
}

TEST(QuantizedCache, RefusesScalesThatDoNotFit) {
  const auto [q, k, v] = random_inputs(3, 2, 1, 8, at::kFloat);
  const Sequences step = make_sequences({3});
  const auto expect_refused = [&](const std::function<void(PagedKeyValues&)>& spoil) {
    TestCache cache = make_quantized_cache({8}, 1, 4, 8);
    cache.tables.context_lengths = {3};
    spoil(cache.cache);
    EXPECT_THROW(store_key_values(k, v, step, cache.tables, cache.cache), Error);
    EXPECT_THROW(paged_attention(q, cache.cache, step, cache.tables), Error);
  };
  expect_refused([](auto& cache) { cache.value_scales.reset(); });
  expect_refused([](auto& cache) { cache.key_scales.reset(); });
  expect_refused([](auto& cache) { cache.key_scales = cache.key_scales.to(at::kDouble); });
  expect_refused([](auto& cache) { cache.key_scales = cache.key_scales.narrow(2, 0, 3); });
  expect_refused([](auto& cache) { cache.values = cache.values.to(at::kFloat); });
}

}  // namespace
}  // namespace tigerbot::ops
