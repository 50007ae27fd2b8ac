#pragma once

#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <ATen/core/Tensor.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <cmath>
#include <random>
#include <vector>

#include "ops/ops.h"

namespace tigerbot::ops {

/// Runs ATen on that many threads while it lives. Tests of many small steps take one: on a busy
/// machine each start of the others costs more than their help.
class ScopedThreads {
 public:
  explicit ScopedThreads(int threads) : previous_(at::get_num_threads()) {
    at::set_num_threads(threads);
  }
  ~ScopedThreads() { at::set_num_threads(previous_); }
  ScopedThreads(const ScopedThreads&) = delete;
  ScopedThreads& operator=(const ScopedThreads&) = delete;

 private:
  int previous_;
};

/// Attention as its definition says it, in float64 and plain loops.
inline at::Tensor naive_attention(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                                  const Sequences& sequences, const AttentionOptions& options) {
  const at::Tensor q64 = q.detach().to(at::kDouble).contiguous();
  const at::Tensor k64 = k.detach().to(at::kDouble).contiguous();
  const at::Tensor v64 = v.detach().to(at::kDouble).contiguous();
  at::Tensor output = at::zeros(q.sizes(), at::kDouble);
  const auto Q = q64.accessor<double, 3>();
  const auto K = k64.accessor<double, 3>();
  const auto V = v64.accessor<double, 3>();
  auto O = output.accessor<double, 3>();
  const std::int64_t heads = q.size(1);
  const std::int64_t dim = q.size(2);
  const std::int64_t group = heads / k.size(1);
  const double scale = options.scale.value_or(1 / std::sqrt(static_cast<double>(dim)));
  for (std::int64_t s = 0; s < sequences.count(); ++s) {
    const std::int64_t first = sequences.cu_seqlens[s];
    const std::int64_t length = sequences.length(s);
    for (std::int64_t h = 0; h < heads; ++h) {
      for (std::int64_t t = 0; t < length; ++t) {
        std::int64_t low = 0;
        if (options.sliding_window > 0) {
          low = std::max<std::int64_t>(0, t + 1 - options.sliding_window);
        }
        const std::int64_t high = options.causal ? t + 1 : length;
        std::vector<double> p(static_cast<std::size_t>(high - low));
        double top = -INFINITY;
        for (std::int64_t j = low; j < high; ++j) {
          double score = 0;
          for (std::int64_t d = 0; d < dim; ++d) {
            score += Q[first + t][h][d] * K[first + j][h / group][d];
          }
          score *= scale;
          if (options.alibi_slopes.defined()) {
            score += static_cast<double>(options.alibi_slopes.const_data_ptr<float>()[h]) *
                     static_cast<double>(j - t);
          }
          p[j - low] = score;
          top = std::max(top, score);
        }
        double sum = 0;
        for (double& x : p) sum += x = std::exp(x - top);
        for (std::int64_t j = low; j < high; ++j) {
          for (std::int64_t d = 0; d < dim; ++d) {
            O[first + t][h][d] += p[j - low] / sum * V[first + j][h / group][d];
          }
        }
      }
    }
  }
  return output;
}

struct AttentionInputs {
  at::Tensor q;
  at::Tensor k;
  at::Tensor v;
};

/// Normal values, the same on every machine and for every type.
inline at::Tensor normal(at::IntArrayRef shape, at::ScalarType type, std::uint64_t seed) {
  at::Tensor x = at::empty(shape, at::kFloat);
  std::mt19937_64 engine(seed);
  std::normal_distribution<float> distribution;
  auto* p = x.data_ptr<float>();
  for (std::int64_t i = 0; i < x.numel(); ++i) p[i] = distribution(engine);
  return x.to(type);
}

inline AttentionInputs random_inputs(std::int64_t tokens, std::int64_t heads, std::int64_t kv_heads,
                                     std::int64_t dim, at::ScalarType type,
                                     std::uint64_t seed = 1) {
  return {normal({tokens, heads, dim}, type, seed), normal({tokens, kv_heads, dim}, type, seed + 1),
          normal({tokens, kv_heads, dim}, type, seed + 2)};
}

/// Slopes 2^(-8 i / heads), as ALiBi's authors choose them.
inline at::Tensor alibi_slopes(std::int64_t heads) {
  at::Tensor slopes = at::empty({heads}, at::kFloat);
  for (std::int64_t h = 0; h < heads; ++h) {
    slopes.data_ptr<float>()[h] =
        std::exp2(-8.0f * static_cast<float>(h + 1) / static_cast<float>(heads));
  }
  return slopes;
}

/// Largest difference, as a share of the largest absolute value of `expected`, or of 1 where that
/// is less: a gradient that cancels to zero is as exact as the terms it is made of.
inline double relative_error(const at::Tensor& actual, const at::Tensor& expected) {
  if (expected.numel() == 0) return 0;
  const at::Tensor e = expected.to(at::kDouble);
  const double difference = (actual.to(at::kDouble) - e).abs().max().item<double>();
  return difference / std::max(1.0, e.abs().max().item<double>());
}

/// A cache of random garbage (NaN where nothing was written) whose blocks are handed out in a
/// shuffled order.
struct TestCache {
  PagedKeyValues cache;
  BlockTables tables;
};

inline TestCache make_cache(const std::vector<std::int64_t>& capacities, std::int64_t kv_heads,
                            std::int64_t block_size, std::int64_t dim, at::ScalarType type,
                            std::uint64_t seed = 7) {
  std::int64_t most = 1;
  std::int64_t total = 0;
  for (const std::int64_t capacity : capacities) {
    const std::int64_t blocks = (capacity + block_size - 1) / block_size;
    most = std::max(most, blocks);
    total += blocks;
  }
  TestCache result;
  const auto shape = {total + 2, kv_heads, block_size, dim};
  result.cache.keys = at::zeros(shape, type).fill_(NAN);
  result.cache.values = at::zeros(shape, type).fill_(NAN);
  std::vector<std::int32_t> order(static_cast<std::size_t>(total + 2));
  for (std::size_t i = 0; i < order.size(); ++i) order[i] = static_cast<std::int32_t>(i);
  std::mt19937_64 engine(seed);
  std::shuffle(order.begin(), order.end(), engine);
  const auto n = static_cast<std::int64_t>(capacities.size());
  result.tables.blocks = at::zeros({n, most}, at::kInt).fill_(-1);
  std::size_t next = 0;
  for (std::int64_t i = 0; i < n; ++i) {
    for (std::int64_t b = 0; b * block_size < capacities[i]; ++b) {
      result.tables.blocks.data_ptr<std::int32_t>()[i * most + b] = order[next++];
    }
  }
  result.tables.context_lengths.assign(capacities.size(), 0);
  return result;
}

}  // namespace tigerbot::ops
