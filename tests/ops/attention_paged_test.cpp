#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "ops/attention_composed.h"
#include "ops/attention_reference.h"
#include "ops/cpu/isa.h"

namespace tigerbot::ops {
namespace {

using cpu::Isa;
using cpu::ScopedIsaLimit;

/// Runs whole sequences through the cache, at most `chunk` tokens of each a step, all sequences in
/// one step; returns the outputs in the order of a whole ragged run.
at::Tensor run_in_chunks(const AttentionInputs& x, const std::vector<std::int64_t>& lengths,
                         std::int64_t chunk, std::int64_t block_size,
                         const AttentionOptions& options, bool composed_of_aten = false) {
  TestCache cache = make_cache(lengths, x.k.size(1), block_size, x.q.size(2), x.q.scalar_type());
  const Sequences whole = make_sequences(lengths);
  std::vector<std::int64_t> done(lengths.size(), 0);
  at::Tensor outputs = at::zeros(x.q.sizes(), x.q.options());
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
      cache.tables.context_lengths[i] = static_cast<std::int32_t>(done[i] + now[i]);
    }
    const Sequences step = make_sequences(now, done);
    at::Tensor output;
    if (composed_of_aten) {
      composed::store_key_values(at::cat(k), at::cat(v), step, cache.tables, cache.cache);
      output = composed::paged_attention(at::cat(q), cache.cache, step, cache.tables, options);
    } else {
      store_key_values(at::cat(k), at::cat(v), step, cache.tables, cache.cache);
      output = paged_attention(at::cat(q), cache.cache, step, cache.tables, options);
    }
    for (std::size_t i = 0; i < lengths.size(); ++i) {
      outputs.narrow(0, whole.cu_seqlens[i] + done[i], now[i])
          .copy_(output.narrow(0, step.cu_seqlens[i], now[i]));
      done[i] += now[i];
      more = more || done[i] < lengths[i];
    }
  }
  return outputs;
}

class PagedAttentionOfIsa : public testing::TestWithParam<Isa> {};

TEST_P(PagedAttentionOfIsa, HasTheBitsOfTheRaggedRunHoweverThePromptIsCut) {
  const ScopedIsaLimit limit(GetParam());
  const ScopedThreads threads(1);
  const std::vector<std::int64_t> lengths = {590, 1, 33};
  for (const auto type : {at::kFloat, at::kBFloat16}) {
    const AttentionInputs x = random_inputs(624, 3, 1, 48, type);
    for (const bool windowed : {false, true}) {
      AttentionOptions options;
      if (windowed) options.sliding_window = 150;
      if (windowed) options.alibi_slopes = alibi_slopes(3);
      const at::Tensor whole = attention(x.q, x.k, x.v, make_sequences(lengths), options);
      for (const std::int64_t chunk : {590, 129, 37}) {
        EXPECT_TRUE(run_in_chunks(x, lengths, chunk, 16, options).equal(whole)) << chunk;
      }
    }
  }
}

TEST_P(PagedAttentionOfIsa, DecodesTokenByTokenToTheSameBits) {
  const ScopedIsaLimit limit(GetParam());
  const ScopedThreads threads(1);
  const AttentionInputs x = random_inputs(150, 6, 2, 64, at::kBFloat16);
  const at::Tensor whole = attention(x.q, x.k, x.v, make_sequences({140, 10}));
  EXPECT_TRUE(run_in_chunks(x, {140, 10}, 1, 32, {}).equal(whole));
}

INSTANTIATE_TEST_SUITE_P(EachIsa, PagedAttentionOfIsa,
                         testing::Values(Isa::kScalar, Isa::kAvx2, Isa::kAvx512, Isa::kAvx512Bf16),
                         [](const auto& info) { return std::string(cpu::isa_name(info.param)); });

TEST(PagedAttention, ComposedOfAtenEqualsTheRaggedRun) {
  const ScopedThreads threads(1);
  const AttentionInputs x = random_inputs(170, 4, 2, 24, at::kDouble);
  const std::vector<std::int64_t> lengths = {130, 0, 40};
  AttentionOptions options;
  for (const std::int64_t chunk : {130, 50, 1}) {
    options.sliding_window = chunk == 50 ? 20 : 0;
    const at::Tensor whole = naive_attention(x.q, x.k, x.v, make_sequences(lengths), options);
    EXPECT_LT(relative_error(run_in_chunks(x, lengths, chunk, 8, options), whole), 1e-12);
    const AttentionInputs single = {x.q.to(at::kFloat), x.k.to(at::kFloat), x.v.to(at::kFloat)};
    EXPECT_LT(relative_error(run_in_chunks(single, lengths, chunk, 8, options, true), whole), 1e-5);
  }
}

TEST(PagedAttention, LongContextHasTheSameBitsOnAnyNumberOfThreads) {
  const AttentionInputs x = random_inputs(3000, 3, 1, 64, at::kBFloat16);
  TestCache cache = make_cache({3000}, 1, 16, 64, at::kBFloat16);
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

TEST(PagedAttention, StoresRowsInTheirBlocks) {
  TestCache cache = make_cache({5, 3}, 2, 4, 3, at::kFloat);
  const at::Tensor k = normal({4, 2, 3}, at::kFloat, 1);
  const at::Tensor v = normal({4, 2, 3}, at::kFloat, 2);
  cache.tables.context_lengths = {5, 2};
  store_key_values(k, v, make_sequences({2, 2}, {3, 0}), cache.tables, cache.cache);
  const auto place = [&](const at::Tensor& x, std::int64_t i, std::int64_t position) {
    const auto block = cache.tables.blocks[i][position / 4].item<std::int32_t>();
    return x[block].select(1, position % 4);
  };
  EXPECT_TRUE(place(cache.cache.keys, 0, 3).equal(k[0]));
  EXPECT_TRUE(place(cache.cache.keys, 0, 4).equal(k[1]));
  EXPECT_TRUE(place(cache.cache.values, 1, 0).equal(v[2]));
  EXPECT_TRUE(place(cache.cache.values, 1, 1).equal(v[3]));
  EXPECT_EQ((~cache.cache.keys.isnan()).sum().item<std::int64_t>(), k.numel());
}

TEST(PagedAttention, RefusesTablesThatDoNotFit) {
  TestCache cache = make_cache({8}, 1, 4, 8, at::kFloat);
  const auto [q, k, v] = random_inputs(3, 2, 1, 8, at::kFloat);
  const Sequences step = make_sequences({3});
  cache.tables.context_lengths = {2};
  EXPECT_THROW(paged_attention(q, cache.cache, step, cache.tables), Error);
  cache.tables.context_lengths = {9};
  EXPECT_THROW(store_key_values(k, v, step, cache.tables, cache.cache), Error);
  cache.tables.context_lengths = {3};
  EXPECT_THROW(store_key_values(q, q, step, cache.tables, cache.cache), Error);
  cache.tables.blocks.fill_(99);
  EXPECT_THROW(paged_attention(q, cache.cache, step, cache.tables), Error);
}

}  // namespace
}  // namespace tigerbot::ops
