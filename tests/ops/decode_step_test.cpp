#include "ops/decode_step.h"

#include <ATen/Functions.h>
#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <ATen/core/Tensor.h>
#include <ATen/core/grad_mode.h>
#include <gtest/gtest.h>

#include <cmath>
#include <numeric>
#include <optional>
#include <tuple>
#include <vector>

#include "base/error.h"
#include "ops/composed.h"
#include "ops/cpu/isa.h"
#include "ops/quantized_linear.h"
#include "ops/quantized_parts.h"

namespace tigerbot {
namespace {

using cpu::Isa;

/// A small decoder with random weights and a paged cache.
struct Model {
  ops::DecoderShape shape;
  std::int64_t hidden = 0;
  std::vector<ops::DecoderLayer> layers;
  at::Tensor final_norm;
  at::ScalarType type = at::kFloat;
  bool quantized_cache = false;
};

struct ModelOptions {
  at::ScalarType type = at::kFloat;
  std::int64_t heads = 6, kv_heads = 2, head_dim = 16, hidden = 50, intermediate = 75;
  bool biases = false;
  bool quantized = false;  ///< 4 bits
  Groups groups = Groups::kInOrder;
  bool head_norms = false;
  std::int64_t sliding_window = 0;
  bool quantized_cache = false;
};

Model make_model(const ModelOptions& options) {
  at::manual_seed(11);
  Model model;
  model.shape = {options.heads, options.kv_heads, options.head_dim, 1e-5, std::nullopt};
  model.hidden = options.hidden;
  model.type = options.type;
  model.quantized_cache = options.quantized_cache;
  const auto weight = [&](std::int64_t out, std::int64_t in) -> ops::LayerWeight {
    if (options.quantized) {
      ops::QuantizedParts parts = random_parts(4, out, in, 32, options.groups);
      parts.zeros.fill_(7);
      parts.scales = (parts.scales / std::sqrt(static_cast<double>(in)) * 4).to(at::kHalf);
      return ops::QuantizedWeight(parts);
    }
    return (at::randn({out, in}) / std::sqrt(static_cast<double>(in))).to(options.type);
  };
  const auto vector = [&](std::int64_t n, double center) {
    return (at::randn({n}) * 0.2 + center).to(options.type);
  };
  const std::int64_t d = options.head_dim;
  for (int i = 0; i < 3; ++i) {
    ops::DecoderLayer layer;
    layer.input_norm = vector(options.hidden, 1);
    layer.post_attention_norm = vector(options.hidden, 1);
    layer.query = weight(options.heads * d, options.hidden);
    layer.key = weight(options.kv_heads * d, options.hidden);
    layer.value = weight(options.kv_heads * d, options.hidden);
    layer.output = weight(options.hidden, options.heads * d);
    layer.gate = weight(options.intermediate, options.hidden);
    layer.up = weight(options.intermediate, options.hidden);
    layer.down = weight(options.hidden, options.intermediate);
    if (options.biases) {
      layer.query_bias = vector(options.heads * d, 0);
      layer.value_bias = vector(options.kv_heads * d, 0);
      layer.output_bias = vector(options.hidden, 0);
      layer.gate_bias = vector(options.intermediate, 0);
      layer.up_bias = vector(options.intermediate, 0);
      layer.down_bias = vector(options.hidden, 0);
    }
    if (options.head_norms) {
      layer.query_norm = vector(d, 1);
      layer.key_norm = vector(d, 1);
    }
    layer.sliding_window = i == 1 ? options.sliding_window : 0;
    model.layers.push_back(layer);
  }
  model.final_norm = vector(options.hidden, 1);
  return model;
}

constexpr std::int64_t kBlockSize = 8;
constexpr std::int64_t kBlocks = 100;

std::vector<PagedKeyValues> make_cache(const Model& model) {
  std::vector<PagedKeyValues> caches;
  for (std::size_t i = 0; i < model.layers.size(); ++i) {
    if (model.quantized_cache) {
      const auto integers = [&] {
        return at::full({kBlocks, model.shape.kv_heads, kBlockSize, model.shape.head_dim}, 99,
                        at::kChar);
      };
      const auto scales = [&] {
        return at::full({kBlocks, model.shape.kv_heads, kBlockSize}, std::nan(""), at::kFloat);
      };
      caches.push_back({integers(), integers(), scales(), scales()});
      continue;
    }
    const auto empty = [&] {
      return at::full({kBlocks, model.shape.kv_heads, kBlockSize, model.shape.head_dim},
                      std::nan(""), model.type);
    };
    caches.push_back({empty(), empty()});
  }
  return caches;
}

ops::RopeAngles make_angles(const Model& model, const Sequences& sequences) {
  const std::int64_t half = model.shape.head_dim / 2;
  const at::Tensor inverse = at::pow(10000.0, -at::arange(half, at::kFloat) / half);
  const at::Tensor angles = sequences.positions.to(at::kFloat).unsqueeze(1) * inverse;
  return {at::cos(angles), at::sin(angles)};
}

/// Sequence i's blocks are spread over the cache in an order of its own.
BlockTables make_tables(const std::vector<std::int64_t>& lengths,
                        const std::vector<std::int64_t>& starts,
                        const std::vector<std::int64_t>& owners) {
  BlockTables tables;
  const auto n = static_cast<std::int64_t>(lengths.size());
  tables.blocks = at::zeros({n, 20}, at::kInt);
  for (std::int64_t i = 0; i < n; ++i) {
    for (std::int64_t b = 0; b < 20; ++b) {
      tables.blocks[i][b] = (owners[static_cast<std::size_t>(i)] * 20 + b) * 7 % kBlocks;
    }
    tables.context_lengths.push_back(static_cast<std::int32_t>(
        lengths[static_cast<std::size_t>(i)] + starts[static_cast<std::size_t>(i)]));
  }
  return tables;
}

at::Tensor product(const at::Tensor& x, const ops::LayerWeight& weight, const at::Tensor& bias) {
  return weight.quantized.defined() ? ops::linear(x, weight.quantized, bias)
                                    : ops::linear(x, weight.dense, bias);
}

/// The same step, composed of single operations.
at::Tensor composed(const Model& model, at::Tensor x, const Sequences& sequences,
                    const BlockTables& tables, const std::vector<PagedKeyValues>& caches) {
  const at::NoGradGuard no_grad;
  const ops::RopeAngles angles = make_angles(model, sequences);
  const double eps = model.shape.norm_eps;
  for (std::size_t i = 0; i < model.layers.size(); ++i) {
    const ops::DecoderLayer& layer = model.layers[i];
    const at::Tensor normed = ops::composed::rms_norm(x, layer.input_norm, eps);
    const auto heads = [&](const ops::LayerWeight& weight, const at::Tensor& bias) {
      return product(normed, weight, bias).unflatten(1, {-1, model.shape.head_dim});
    };
    at::Tensor q = heads(layer.query, layer.query_bias);
    at::Tensor k = heads(layer.key, layer.key_bias);
    const at::Tensor v = heads(layer.value, layer.value_bias);
    if (layer.query_norm.defined()) {
      q = ops::composed::rms_norm(q, layer.query_norm, eps);
      k = ops::composed::rms_norm(k, layer.key_norm, eps);
    }
    q = ops::rope(q, angles);
    k = ops::rope(k, angles);
    ops::store_key_values(k, v, sequences, tables, caches[i]);
    ops::AttentionOptions options;
    options.sliding_window = layer.sliding_window;
    const at::Tensor attended = ops::paged_attention(q, caches[i], sequences, tables, options);
    x = x + product(attended.flatten(1), layer.output, layer.output_bias);
    const at::Tensor y = ops::composed::rms_norm(x, layer.post_attention_norm, eps);
    x = x + product(ops::swiglu(product(y, layer.gate, layer.gate_bias),
                                product(y, layer.up, layer.up_bias)),
                    layer.down, layer.down_bias);
  }
  return ops::composed::rms_norm(x, model.final_norm, eps);
}

double largest_error(const at::Tensor& a, const at::Tensor& b) {
  return (a.to(at::kFloat) - b.to(at::kFloat)).abs().max().item<double>();
}

at::Tensor embeddings(const Model& model, std::int64_t tokens) {
  return at::randn({tokens, model.hidden}).to(model.type);
}

struct Step {
  Sequences sequences;
  BlockTables tables;
};

Step make_step(const std::vector<std::int64_t>& lengths, const std::vector<std::int64_t>& starts,
               std::vector<std::int64_t> owners = {}) {
  if (owners.empty()) {
    owners.resize(lengths.size());
    std::iota(owners.begin(), owners.end(), 0);
  }
  return {make_sequences(lengths, starts), make_tables(lengths, starts, owners)};
}

at::Tensor run(const Model& model, const ops::DecoderStack& stack, const at::Tensor& x,
               const Step& step, const std::vector<PagedKeyValues>& caches,
               const std::optional<std::vector<std::int64_t>>& output_rows = {}) {
  return stack.step(x, make_angles(model, step.sequences), step.sequences, step.tables, caches,
                    output_rows);
}

/// A prompt of several sequences, then steps of one token each: like the composed operations.
void expect_like_composed(const ModelOptions& options, double tolerance) {
  const Model model = make_model(options);
  const ops::DecoderStack stack(model.layers, model.final_norm, model.shape);
  const std::vector<PagedKeyValues> ours = make_cache(model);
  const std::vector<PagedKeyValues> theirs = make_cache(model);
  std::vector<std::int64_t> lengths = {40, 1, 13};
  std::vector<std::int64_t> starts = {0, 0, 0};
  for (int i = 0; i < 4; ++i) {
    const Step step = make_step(lengths, starts);
    const at::Tensor x = embeddings(model, step.sequences.tokens());
    const at::Tensor y = run(model, stack, x, step, ours);
    const at::Tensor expected = composed(model, x, step.sequences, step.tables, theirs);
    ASSERT_EQ(y.sizes(), expected.sizes());
    EXPECT_LT(largest_error(y, expected), tolerance) << "step " << i;
    for (std::size_t s = 0; s < lengths.size(); ++s) starts[s] += lengths[s];
    lengths = {1, 1, i == 1 ? 5 : 1};
  }
}

TEST(DecodeStep, EqualsTheComposedOperations) {
  expect_like_composed({}, 2e-5);
  expect_like_composed({.type = at::kBFloat16}, 0.13);
}

TEST(DecodeStep, TakesBiasesHeadNormsAndWindows) {
  expect_like_composed({.biases = true, .head_norms = true, .sliding_window = 9}, 2e-5);
  expect_like_composed({.type = at::kBFloat16, .biases = true, .sliding_window = 9}, 0.15);
}

TEST(DecodeStep, TakesQuantizedWeights) {
  const ModelOptions options{.type = at::kBFloat16, .quantized = true};
  expect_like_composed(options, 0.13);
  ModelOptions shuffled = options;
  shuffled.groups =
      Groups::kShuffled;  // each product gathers its activations in an order of its own
  shuffled.biases = true;
  shuffled.head_norms = true;
  expect_like_composed(shuffled, 0.13);
  expect_like_composed({.type = at::kBFloat16,
                        .heads = 3,
                        .kv_heads = 1,
                        .head_dim = 10,
                        .hidden = 37,
                        .intermediate = 51,
                        .quantized = true},
                       0.13);
}

TEST(DecodeStep, TakesAQuantizedCache) {
  // A head that is rounded otherwise in its last bit may be quantized to the next integer.
  expect_like_composed({.quantized_cache = true}, 0.02);
  expect_like_composed({.biases = true, .sliding_window = 9, .quantized_cache = true}, 0.02);
  expect_like_composed({.type = at::kBFloat16, .quantized_cache = true}, 0.15);
  expect_like_composed({.type = at::kBFloat16,
                        .heads = 3,
                        .kv_heads = 1,
                        .head_dim = 10,
                        .hidden = 37,
                        .intermediate = 51,
                        .quantized = true,
                        .quantized_cache = true},
                       0.15);
}

TEST(DecodeStep, QuantizedWeightsWithFloat32NormsAreNotItsOwn) {
  const Model model = make_model({.type = at::kFloat, .quantized = true});
  EXPECT_FALSE(ops::DecoderStack::applies(model.layers));
}

TEST(DecodeStep, TakesOddWidths) {
  expect_like_composed(
      {.heads = 3, .kv_heads = 1, .head_dim = 10, .hidden = 37, .intermediate = 51}, 2e-5);
  expect_like_composed({.type = at::kBFloat16,
                        .heads = 3,
                        .kv_heads = 3,
                        .head_dim = 10,
                        .hidden = 37,
                        .intermediate = 51},
                       0.13);
}

TEST(DecodeStep, EveryInstructionSetAgrees) {
  for (const at::ScalarType type : {at::kFloat, at::kBFloat16}) {
    const Model model = make_model({.type = type});
    const ops::DecoderStack stack(model.layers, model.final_norm, model.shape);
    const Step step = make_step({30, 4}, {0, 0});
    const at::Tensor x = embeddings(model, 34);
    const at::Tensor best = run(model, stack, x, step, make_cache(model));
    for (const Isa isa : {Isa::kScalar, Isa::kAvx2, Isa::kAvx512}) {
      const cpu::ScopedIsaLimit limit(isa);
      const at::Tensor y = run(model, stack, x, step, make_cache(model));
      EXPECT_LT(largest_error(y, best), type == at::kFloat ? 2e-5 : 0.13) << cpu::isa_name(isa);
    }
  }
}

TEST(DecodeStep, ASequenceHasTheSameBitsAloneAndAmongOthersAndInChunks) {
  for (const auto& [type, quantized, quantized_cache] : {std::tuple(at::kFloat, false, false),
                                                         {at::kBFloat16, false, false},
                                                         {at::kBFloat16, true, false},
                                                         {at::kFloat, false, true},
                                                         {at::kBFloat16, true, true}}) {
    const Model model = make_model({.type = type,
                                    .quantized = quantized,
                                    .sliding_window = 11,
                                    .quantized_cache = quantized_cache});
    const ops::DecoderStack stack(model.layers, model.final_norm, model.shape);
    const at::Tensor x = embeddings(model, 50);
    const std::vector<PagedKeyValues> alone_cache = make_cache(model);
    const at::Tensor alone = run(model, stack, x, make_step({50}, {0}, {1}), alone_cache);

    const at::Tensor others = embeddings(model, 70);
    const Step mixed = make_step({33, 50, 37}, {0, 0, 0}, {0, 1, 2});
    const at::Tensor among =
        run(model, stack, at::cat({others.narrow(0, 0, 33), x, others.narrow(0, 33, 37)}), mixed,
            make_cache(model));
    EXPECT_TRUE(at::equal(among.narrow(0, 33, 50), alone));

    const std::vector<PagedKeyValues> chunked_cache = make_cache(model);
    std::int64_t start = 0;
    for (const std::int64_t chunk : {20, 1, 1, 9, 3, 16}) {
      const at::Tensor y = run(model, stack, x.narrow(0, start, chunk),
                               make_step({chunk}, {start}, {1}), chunked_cache);
      EXPECT_TRUE(at::equal(y, alone.narrow(0, start, chunk))) << "from token " << start;
      start += chunk;
    }
  }
}

TEST(DecodeStep, OutputRowsAreTheSameRows) {
  const Model model = make_model({.type = at::kBFloat16, .sliding_window = 9});
  const ops::DecoderStack stack(model.layers, model.final_norm, model.shape);
  const Step step = make_step({20, 1, 30}, {0, 0, 0});
  const at::Tensor x = embeddings(model, 51);
  const at::Tensor all = run(model, stack, x, step, make_cache(model));
  const std::vector<PagedKeyValues> caches = make_cache(model);
  const at::Tensor some =
      run(model, stack, x, step, caches, std::vector<std::int64_t>{19, 20, 25, 50});
  EXPECT_TRUE(at::equal(some, at::stack({all[19], all[20], all[25], all[50]})));
  EXPECT_EQ(run(model, stack, x, step, make_cache(model), std::vector<std::int64_t>()).size(0), 0);
  // The keys and values of all tokens are there: the next step is the same.
  const Step next = make_step({1, 1, 1}, {20, 1, 30});
  const at::Tensor y = embeddings(model, 3);
  const std::vector<PagedKeyValues> whole = make_cache(model);
  run(model, stack, x, step, whole);
  EXPECT_TRUE(at::equal(run(model, stack, y, next, caches), run(model, stack, y, next, whole)));
}

TEST(DecodeStep, MoreThreadsThanProcessorsGiveTheSameBits) {
  const int threads = at::get_num_threads();
  const Model model = make_model({.type = at::kBFloat16});
  const ops::DecoderStack stack(model.layers, model.final_norm, model.shape);
  const Step step = make_step({40, 7}, {0, 0});
  const at::Tensor x = embeddings(model, 47);
  at::set_num_threads(1);
  const at::Tensor one = run(model, stack, x, step, make_cache(model));
  at::set_num_threads(9);
  const at::Tensor nine = run(model, stack, x, step, make_cache(model));
  at::set_num_threads(threads);
  EXPECT_TRUE(at::equal(one, nine));
}

TEST(DecodeStep, LongContextsShareTheirSplits) {
  ModelOptions options{.type = at::kFloat, .heads = 2, .kv_heads = 1, .head_dim = 8};
  const Model model = make_model(options);
  const ops::DecoderStack stack(model.layers, model.final_norm, model.shape);
  std::vector<PagedKeyValues> ours, theirs;
  for (auto* caches : {&ours, &theirs}) {
    for (int i = 0; i < 3; ++i) {
      caches->push_back({at::zeros({200, 1, kBlockSize, 8}), at::zeros({200, 1, kBlockSize, 8})});
    }
  }
  BlockTables tables;
  tables.blocks = at::arange(200, at::kInt).unsqueeze(0);
  std::int64_t start = 0;
  for (const std::int64_t length : {1200, 1, 1}) {
    tables.context_lengths = {static_cast<std::int32_t>(start + length)};
    const Step step{make_sequences({length}, {start}), tables};
    const at::Tensor x = embeddings(model, length);
    EXPECT_LT(largest_error(run(model, stack, x, step, ours),
                            composed(model, x, step.sequences, tables, theirs)),
              2e-5);
    start += length;
  }
}

TEST(DecodeStep, WrongInputsAreNamed) {
  const Model model = make_model({});
  const ops::DecoderStack stack(model.layers, model.final_norm, model.shape);
  const std::vector<PagedKeyValues> caches = make_cache(model);
  const Step step = make_step({3}, {0});
  EXPECT_THROW(run(model, stack, at::ones({4, 50}), step, caches), Error);
  EXPECT_THROW(run(model, stack, at::ones({3, 50}, at::kBFloat16), step, caches), Error);
  EXPECT_THROW(run(model, stack, at::ones({3, 50}), step, {caches[0]}), Error);
  std::vector<PagedKeyValues> without_scales = caches;
  for (PagedKeyValues& cache : without_scales) cache.keys = cache.keys.to(at::kChar);
  EXPECT_THROW(run(model, stack, at::ones({3, 50}), step, without_scales), Error);
  EXPECT_THROW(run(model, stack, at::ones({3, 50}), step, caches, std::vector<std::int64_t>{1, 1}),
               Error);
  EXPECT_THROW(run(model, stack, at::ones({3, 50}), step, caches, std::vector<std::int64_t>{3}),
               Error);
  Step too_long = make_step({3}, {200});
  EXPECT_THROW(run(model, stack, at::ones({3, 50}), too_long, caches), Error);
  std::vector<ops::DecoderLayer> mixed = model.layers;
  mixed[1].up.dense = mixed[1].up.dense.to(at::kBFloat16);
  EXPECT_FALSE(ops::DecoderStack::applies(mixed));
  EXPECT_THROW(ops::DecoderStack(mixed, model.final_norm, model.shape), Error);
}

}  // namespace
}  // namespace tigerbot
