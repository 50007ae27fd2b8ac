// Attention beside ATen's scaled_dot_product_attention, interleaved: causal, bfloat16, SmolLM2's
// heads (9 query and 3 key/value heads of 64). Arguments: threads (2), repetitions (7).

#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/rand.h>
#include <ATen/ops/randint.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/scaled_dot_product_attention.h>
#include <c10/core/GradMode.h>
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <functional>
#include <vector>

#include "ops/ops.h"

namespace {

using tigerbot::Sequences;

double seconds(const std::function<void()>& work) {
  const auto start = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

struct Times {
  std::vector<double> all;
  double median() {
    std::sort(all.begin(), all.end());
    return all[all.size() / 2];
  }
  double spread() { return (all.back() - all.front()) / median() * 100; }
};

constexpr std::int64_t kHeads = 9;
constexpr std::int64_t kKvHeads = 3;
constexpr std::int64_t kDim = 64;

void print_row(const char* what, std::int64_t tokens, double operations, Times ours, Times peer) {
  fmt::print("{:>8} {:>7} {:>10.2f} {:>8.0f} {:>6.0f}% {:>10.2f} {:>8.0f} {:>6.0f}% {:>7.2f}\n",
             what, tokens, ours.median() * 1e3, operations / ours.median() / 1e9, ours.spread(),
             peer.median() * 1e3, operations / peer.median() / 1e9, peer.spread(),
             peer.median() / ours.median());
}

void causal(std::int64_t tokens, int repetitions) {
  const auto options = at::TensorOptions().dtype(at::kBFloat16);
  const at::Tensor q = at::randn({tokens, kHeads, kDim}, options).set_requires_grad(true);
  const at::Tensor k = at::randn({tokens, kKvHeads, kDim}, options).set_requires_grad(true);
  const at::Tensor v = at::randn({tokens, kKvHeads, kDim}, options).set_requires_grad(true);
  const at::Tensor gradient = at::randn({tokens, kHeads, kDim}, options);
  const Sequences sequences = tigerbot::make_sequences({tokens});
  const auto ours = [&] { return tigerbot::ops::attention(q, k, v, sequences); };
  const auto peer = [&] {
    const auto heads_first = [](const at::Tensor& x) { return x.transpose(0, 1).unsqueeze(0); };
    return at::scaled_dot_product_attention(heads_first(q), heads_first(k), heads_first(v), {}, 0.0,
                                            true, std::nullopt, true)
        .squeeze(0)
        .transpose(0, 1);
  };
  Times forward[2];
  Times backward[2];
  for (int i = 0; i <= repetitions; ++i) {
    for (int which = 0; which < 2; ++which) {
      at::Tensor output;
      const double f = seconds([&] { output = which == 0 ? ours() : peer(); });
      const double b = seconds([&] { output.backward(gradient); });
      for (const at::Tensor& x : {q, k, v}) x.mutable_grad().reset();
      if (i == 0) continue;  // the first is a warm-up
      forward[which].all.push_back(f);
      backward[which].all.push_back(b);
    }
  }
  const double pairs = static_cast<double>(tokens) * static_cast<double>(tokens + 1) / 2;
  const double product = 2 * pairs * kDim * kHeads;
  print_row("forward", tokens, 2 * product, forward[0], forward[1]);
  print_row("backward", tokens, 5 * product, backward[0], backward[1]);
}

/// One new token over a cache, beside SDPA over keys and values that lie together, and (int8) over
/// a quantized cache beside one in bfloat16; GB/s of keys and values read.
void decode(std::int64_t context, int repetitions) {
  const c10::AutoGradMode no_gradients(false);
  constexpr std::int64_t kBlockSize = 16;
  const auto options = at::TensorOptions().dtype(at::kBFloat16);
  const std::int64_t blocks = (context + kBlockSize - 1) / kBlockSize;
  const tigerbot::PagedKeyValues cache = {at::randn({blocks, kKvHeads, kBlockSize, kDim}, options),
                                          at::randn({blocks, kKvHeads, kBlockSize, kDim}, options)};
  tigerbot::BlockTables tables;
  tables.blocks = at::arange(blocks, at::kInt).unsqueeze(0);
  tables.context_lengths = {static_cast<std::int32_t>(context)};
  const at::Tensor q = at::randn({1, kHeads, kDim}, options);
  const Sequences step = tigerbot::make_sequences({1}, {context - 1});
  const at::Tensor k = cache.keys.transpose(0, 1).reshape({1, kKvHeads, blocks * kBlockSize, kDim});
  const at::Tensor v = cache.values.transpose(0, 1).reshape(k.sizes());
  const at::Tensor one_query = q.transpose(0, 1).unsqueeze(0);
  const auto integers = [&] { return at::randint(-127, 128, cache.keys.sizes(), at::kChar); };
  const auto scales = [&] { return at::rand({blocks, kKvHeads, kBlockSize}) / 127; };
  const tigerbot::PagedKeyValues quantized = {integers(), integers(), scales(), scales()};
  Times ours;
  Times peer;
  Times ours_quantized;
  for (int i = 0; i <= 10 * repetitions; ++i) {
    const double a = seconds([&] { tigerbot::ops::paged_attention(q, cache, step, tables); });
    const double b = seconds([&] {
      at::scaled_dot_product_attention(one_query, k, v, {}, 0.0, false, std::nullopt, true);
    });
    const double c = seconds([&] { tigerbot::ops::paged_attention(q, quantized, step, tables); });
    if (i == 0) continue;
    ours.all.push_back(a);
    peer.all.push_back(b);
    ours_quantized.all.push_back(c);
  }
  const double numbers = 2.0 * static_cast<double>(context) * kKvHeads * kDim;
  const auto print = [&](const char* what, Times& time, double bytes, Times& beside,
                         double their_bytes) {
    fmt::print("{:>8} {:>7} {:>10.4f} {:>8.1f} {:>7} {:>10.4f} {:>8.1f} {:>7} {:>7.2f}\n", what,
               context, time.median() * 1e3, bytes / time.median() / 1e9, "", beside.median() * 1e3,
               their_bytes / beside.median() / 1e9, "", beside.median() / time.median());
  };
  print("decode", ours, 2 * numbers, peer, 2 * numbers);
  print("int8", ours_quantized, numbers * (1 + 4.0 / kDim), ours, 2 * numbers);
}

}  // namespace

int main(int argc, char** argv) {
  at::set_num_threads(argc > 1 ? std::atoi(argv[1]) : 2);
  const int repetitions = argc > 2 ? std::atoi(argv[2]) : 7;
  fmt::print("{:>8} {:>7} {:>10} {:>8} {:>7} {:>10} {:>8} {:>7} {:>7}\n", "", "tokens", "ours ms",
             "GFLOP/s", "spread", "SDPA ms", "GFLOP/s", "spread", "ratio");
  causal(2048, repetitions);
  causal(8192, std::max(1, repetitions / 3));
  fmt::print("decode: GB/s of keys and values in place of GFLOP/s; int8: beside bfloat16\n");
  decode(1024, repetitions);
  decode(8192, repetitions);
  return 0;
}
