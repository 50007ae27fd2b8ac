#pragma once

#include <ATen/core/Tensor.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/full.h>
#include <ATen/ops/stack.h>

#include <cstdint>
#include <limits>
#include <utility>
#include <vector>

#include "model/decoder.h"

namespace tigerbot {

/// A paged cache whose blocks lie in backward order, for the tests.
class TestCache {
 public:
  /// Room for `longest` tokens in each of `sequences`.
  TestCache(const ModelConfig& config, std::int64_t sequences, std::int64_t longest,
            at::ScalarType dtype)
      : blocks_each_((longest + kBlockSize - 1) / kBlockSize) {
    const std::int64_t blocks = sequences * blocks_each_;
    for (std::int64_t layer = 0; layer < config.num_hidden_layers; ++layer) {
      // What was never stored must never be read.
      const auto empty = [&] {
        return at::full({blocks, config.num_key_value_heads, kBlockSize, config.head_dim},
                        std::numeric_limits<float>::quiet_NaN(), dtype);
      };
      cache_.layers.push_back({empty(), empty()});
    }
    tables_ = at::empty({sequences, blocks_each_}, at::kInt);
    auto* table = tables_.data_ptr<std::int32_t>();
    for (std::int64_t i = 0; i < blocks; ++i) table[i] = static_cast<std::int32_t>(blocks - 1 - i);
    held_.assign(static_cast<std::size_t>(sequences), 0);
  }

  /// The next step: `counts[i]` more tokens of sequence `which[i]`.
  std::pair<Sequences, StepCache*> step(const std::vector<std::int64_t>& which,
                                        const std::vector<std::int64_t>& counts) {
    std::vector<std::int64_t> starts;
    std::vector<at::Tensor> rows;
    cache_.tables.context_lengths.clear();
    for (std::size_t i = 0; i < which.size(); ++i) {
      std::int64_t& held = held_[static_cast<std::size_t>(which[i])];
      starts.push_back(held);
      held += counts[i];
      rows.push_back(tables_[which[i]]);
      cache_.tables.context_lengths.push_back(static_cast<std::int32_t>(held));
    }
    cache_.tables.blocks = at::stack(rows);
    return {make_sequences(counts, starts), &cache_};
  }

  std::int64_t held(std::int64_t i) const { return held_[static_cast<std::size_t>(i)]; }

 private:
  static constexpr std::int64_t kBlockSize = 16;
  std::int64_t blocks_each_;
  StepCache cache_;
  at::Tensor tables_;
  std::vector<std::int64_t> held_;
};

}  // namespace tigerbot
