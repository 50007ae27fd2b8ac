#include "ops/decode_step.h"

#include <ATen/Parallel.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstring>
#include <map>
#include <numeric>
#include <utility>

#include "base/error.h"
#include "ops/attention_checks.h"
#include "ops/checks.h"
#include "ops/cpu/decode_attention.h"
#include "ops/cpu/decode_crew.h"
#include "ops/cpu/linear_kernels.h"
#include "ops/recorded.h"

namespace tigerbot::ops {
namespace {

at::Tensor wide(const at::Tensor& vector) {
  return vector.defined() ? vector.to(at::kFloat).contiguous() : at::Tensor();
}

const float* floats(const at::Tensor& vector) {
  return vector.defined() ? vector.const_data_ptr<float>() : nullptr;
}

/// The biases of several products as one vector, zeros where one has none; undefined if none has.
at::Tensor joined_bias(const std::vector<std::pair<LayerWeight, at::Tensor>>& weights_and_biases) {
  if (std::none_of(weights_and_biases.begin(), weights_and_biases.end(),
                   [](const auto& pair) { return pair.second.defined(); })) {
    return {};
  }
  std::vector<at::Tensor> parts;
  for (const auto& [weight, bias] : weights_and_biases) {
    parts.push_back(bias.defined() ? wide(bias) : at::zeros({weight.out_features()}, at::kFloat));
  }
  return at::cat(parts);
}

/// Names a part of the step in profiles: as the thread that called sees it, its waiting for the
/// others included.
class Part {
 public:
  Part(const cpu::CrewMember& member, const char* name, std::int64_t bytes = 0) {
    if (member.index() == 0) recorded_.emplace(name, bytes);
  }

 private:
  std::optional<Recorded> recorded_;
};

/// Hands out parts of one allocation, each from a cache line on; rows are whole 32-bit words.
class Workspace {
 public:
  Rows rows(std::int64_t count, std::int64_t features, std::int64_t size) {
    const std::int64_t stride = (features * size + 3) / 4 * 4 / size;
    const Rows rows{reinterpret_cast<std::byte*>(used_), stride, size};
    used_ += (count * stride * size + 127) / 64 * 64;
    return rows;
  }
  std::int64_t used() const { return used_; }
  static Rows place(Rows rows, std::byte* memory) {
    rows.base = memory + reinterpret_cast<std::intptr_t>(rows.base);
    return rows;
  }

 private:
  std::int64_t used_ = 0;
};

}  // namespace

bool DecoderStack::applies(const std::vector<DecoderLayer>& layers) {
  if (layers.empty()) return false;
  const bool quantized = layers.front().query.quantized.defined();
  const at::ScalarType type = quantized ? at::kBFloat16 : layers.front().query.dense.scalar_type();
  return std::all_of(layers.begin(), layers.end(), [&](const DecoderLayer& layer) {
    const auto fits = [&](const LayerWeight& weight) {
      if (quantized) return weight.quantized.defined();
      return weight.dense.defined() && takes_kernels(weight.dense) &&
             weight.dense.scalar_type() == type;
    };
    if (quantized && layer.input_norm.scalar_type() != at::kBFloat16) return false;
    return fits(layer.query) && fits(layer.key) && fits(layer.value) && fits(layer.output) &&
           fits(layer.gate) && fits(layer.up) && fits(layer.down);
  });
}

/// An Error unless the weight is [out, in].
void check_weight(const char* name, const LayerWeight& weight, std::int64_t out, std::int64_t in) {
  if (weight.out_features() != out || weight.in_features() != in) {
    fail("decode step: {} is [{}, {}]; [{}, {}] is needed", name, weight.out_features(),
         weight.in_features(), out, in);
  }
}

DecoderStack::DecoderStack(const std::vector<DecoderLayer>& layers, const at::Tensor& final_norm,
                           const DecoderShape& shape)
    : final_norm_(wide(final_norm)), shape_(shape) {
  if (!applies(layers)) {
    fail("decode step: weights must be bfloat16, float32 or quantized, all alike, on the CPU");
  }
  hidden_ = final_norm.size(0);
  intermediate_ = layers.front().gate.out_features();
  type_ = layers.front().query.quantized.defined() ? at::kBFloat16
                                                   : layers.front().query.dense.scalar_type();
  const std::int64_t d = shape.head_dim;
  for (const DecoderLayer& layer : layers) {
    check_weight("query", layer.query, shape.heads * d, hidden_);
    check_weight("key", layer.key, shape.kv_heads * d, hidden_);
    check_weight("value", layer.value, shape.kv_heads * d, hidden_);
    check_weight("output", layer.output, hidden_, shape.heads * d);
    check_weight("gate", layer.gate, intermediate_, hidden_);
    check_weight("up", layer.up, intermediate_, hidden_);
    check_weight("down", layer.down, hidden_, intermediate_);
    Layer packed;
    packed.input_norm = wide(layer.input_norm);
    packed.post_attention_norm = wide(layer.post_attention_norm);
    packed.query_norm = wide(layer.query_norm);
    packed.key_norm = wide(layer.key_norm);
    packed.query_key_value = StepProduct::joined("tigerbot::step_query_key_value",
                                                 {layer.query, layer.key, layer.value});
    packed.output = StepProduct::joined("tigerbot::step_output", {layer.output});
    packed.gate_up = StepProduct::gated("tigerbot::step_gate_up", layer.gate, layer.up);
    packed.down = StepProduct::joined("tigerbot::step_down", {layer.down});
    packed.query_key_value_bias = joined_bias({{layer.query, layer.query_bias},
                                               {layer.key, layer.key_bias},
                                               {layer.value, layer.value_bias}});
    packed.output_bias = wide(layer.output_bias);
    packed.gate_bias = wide(layer.gate_bias);
    packed.up_bias = wide(layer.up_bias);
    packed.down_bias = wide(layer.down_bias);
    packed.sliding_window = layer.sliding_window;
    layers_.push_back(std::move(packed));
  }
}

/// What one call of step() works with.
class DecoderStack::Run {
 public:
  Run(const DecoderStack& stack, const RopeAngles& angles, const Sequences& sequences,
      const BlockTables& tables, const std::vector<PagedKeyValues>& caches,
      const std::optional<std::vector<std::int64_t>>& output_rows)
      : stack_(stack),
        angles_(angles),
        sequences_(sequences),
        tables_(tables),
        caches_(caches),
        output_rows_(output_rows),
        bfloat16_(stack.type_ == at::kBFloat16),
        kernels_(cpu::linear_kernels(bfloat16_)),
        attention_kernels_(cpu::attention_kernels(bfloat16_)),
        tokens_(sequences.tokens()),
        threads_(at::in_parallel_region() ? 1 : at::get_num_threads()) {
    const DecoderShape& shape = stack.shape_;
    const cpu::StepAttentionShape attention{
        shape.heads, shape.kv_heads, shape.head_dim,
        shape.attention_scale.value_or(1.0 / std::sqrt(static_cast<double>(shape.head_dim))),
        bfloat16_};
    const std::size_t last = stack.layers_.size() - 1;
    for (std::size_t i = 0; i <= last; ++i) {
      // Layers with the same window share a plan; the last one has fewer queries.
      const bool narrowed = i == last && output_rows.has_value();
      const auto key = std::make_pair(stack.layers_[i].sliding_window, narrowed);
      if (!attention_.contains(key)) {
        attention_.emplace(key, cpu::StepAttention(sequences, tables, key.first,
                                                   narrowed ? output_rows : std::nullopt, attention,
                                                   static_cast<int>(threads_)));
      }
    }
    for (const PagedKeyValues& cache : caches) block_size_ = cache.block_size();
    row_sequence_.reserve(static_cast<std::size_t>(tokens_));
    for (std::int64_t s = 0; s < sequences.count(); ++s) {
      row_sequence_.insert(row_sequence_.end(), static_cast<std::size_t>(sequences.length(s)),
                           static_cast<std::int32_t>(s));
    }

    Workspace workspace;
    const std::int64_t size = bfloat16_ ? 2 : 4;
    const std::int64_t d = shape.head_dim;
    Rows residual = workspace.rows(tokens_, stack.hidden_, size);
    Rows narrow_residual = workspace.rows(wanted(), stack.hidden_, size);
    Rows normed = workspace.rows(tokens_, stack.hidden_, size);
    Rows heads = workspace.rows(tokens_, (shape.heads + 2 * shape.kv_heads) * d, size);
    Rows attended = workspace.rows(tokens_, shape.heads * d, size);
    Rows activated = workspace.rows(tokens_, stack.intermediate_, size);
    std::int64_t rounded_bytes = 0;
    for (const Layer& layer : stack.layers_) {
      for (const StepProduct* product :
           {&layer.query_key_value, &layer.output, &layer.gate_up, &layer.down}) {
        rounded_bytes = std::max(rounded_bytes, product->rounded_bytes(tokens_));
      }
    }
    memory_ = at::empty({workspace.used() + rounded_bytes + 64}, at::kByte);
    auto* base = reinterpret_cast<std::byte*>(
        (reinterpret_cast<std::uintptr_t>(memory_.data_ptr()) + 63) / 64 * 64);
    rounded_ = base + workspace.used();
    residual_ = Workspace::place(residual, base);
    narrow_residual_ = Workspace::place(narrow_residual, base);
    normed_ = Workspace::place(normed, base);
    heads_ = Workspace::place(heads, base);
    attended_ = Workspace::place(attended, base);
    activated_ = Workspace::place(activated, base);
    // A last row of an odd number of features ends in half a word, which is multiplied with zero.
    if (bfloat16_) std::memset(base, 0, static_cast<std::size_t>(workspace.used()));
  }

  at::Tensor operator()(const at::Tensor& embeddings) {
    const std::int64_t hidden = stack_.hidden_;
    const auto row_bytes = static_cast<std::size_t>(hidden * residual_.size);
    const auto* from = static_cast<const std::byte*>(embeddings.const_data_ptr());
    at::Tensor result = at::empty({wanted(), hidden}, embeddings.options());
    const Rows output{static_cast<std::byte*>(result.data_ptr()), hidden, residual_.size};
    constexpr std::size_t kPhasesOfLayer = 12;
    cpu::Crew::run(
        kPhasesOfLayer * stack_.layers_.size() + kPhasesOfLayer, [&](cpu::CrewMember& member) {
          over_rows(member, tokens_, [&](std::int64_t row) {
            std::memcpy(residual_.at(row), from + static_cast<std::size_t>(row) * row_bytes,
                        row_bytes);
          });
          Rows residual = residual_;
          std::int64_t rows = tokens_;
          for (std::size_t i = 0; i < stack_.layers_.size(); ++i) {
            const bool narrowed = i + 1 == stack_.layers_.size() && output_rows_.has_value();
            layer(member, i, residual, rows, narrowed);
          }
          norm(member, residual, rows, stack_.final_norm_, output);
        });
    return result;
  }

 private:
  /// Rows of the result.
  std::int64_t wanted() const { return output_rows_ ? std::ssize(*output_rows_) : tokens_; }

  /// fn(row) for all rows, in runs that are worth a thread's while.
  template <class Function>
  static void over_rows(cpu::CrewMember& member, std::int64_t rows, const Function& fn) {
    constexpr std::int64_t kRun = 8;
    member.phase((rows + kRun - 1) / kRun, [&](std::int64_t run) {
      for (std::int64_t row = run * kRun; row < std::min(rows, (run + 1) * kRun); ++row) fn(row);
    });
  }

  /// And rounds the result for the product that follows, if one does.
  void norm(cpu::CrewMember& member, const Rows& x, std::int64_t rows, const at::Tensor& weight,
            const Rows& out, const StepProduct* next = nullptr) const {
    const Part part(member, "tigerbot::step_norm");
    const auto eps = static_cast<float>(stack_.shape_.norm_eps);
    over_rows(member, rows, [&](std::int64_t row) {
      kernels_.rms_norm(x.at(row), floats(weight), stack_.hidden_, eps, out.at(row));
      if (next != nullptr) next->round(out.at(row), row, rows, rounded_);
    });
  }

  /// For a product whose activations no norm has made.
  void round(cpu::CrewMember& member, const Rows& x, std::int64_t rows,
             const StepProduct& product) const {
    if (!product.quantized()) return;
    const Part part(member, "tigerbot::step_round");
    over_rows(member, rows,
              [&](std::int64_t row) { product.round(x.at(row), row, rows, rounded_); });
  }

  static cpu::ProductOutput output(cpu::Finish finish, const Rows& out, const at::Tensor& bias) {
    cpu::ProductOutput result;
    result.finish = finish;
    result.out = out.base;
    result.stride = out.stride;
    result.bias = floats(bias);
    return result;
  }

  /// out = x weight^T + bias, or added to what is there; x is rounded already where that is needed.
  void linear(cpu::CrewMember& member, const Rows& x, std::int64_t rows, const StepProduct& product,
              const at::Tensor& bias, cpu::Finish finish, const Rows& out) const {
    const Part part(member, product.name(), product.bytes());
    product.run(member, kernels_, x, rows, threads_, output(finish, out, bias), rounded_);
  }

  /// Head norms and rotation of this step's queries and keys, and the keys and values to their
  /// places in the cache, quantized where it is.
  void place_heads(cpu::CrewMember& member, const Layer& layer, const PagedKeyValues& cache) const {
    const Part part(member, "tigerbot::step_rope");
    const DecoderShape& shape = stack_.shape_;
    const std::int64_t d = shape.head_dim;
    const std::int64_t half = angles_.cos.size(1);
    const auto eps = static_cast<float>(shape.norm_eps);
    const auto head_bytes = static_cast<std::size_t>(d * heads_.size);
    auto* keys = static_cast<std::byte*>(cache.keys.data_ptr());
    auto* values = static_cast<std::byte*>(cache.values.data_ptr());
    float* key_scales = cache.quantized() ? cache.key_scales.data_ptr<float>() : nullptr;
    float* value_scales = cache.quantized() ? cache.value_scales.data_ptr<float>() : nullptr;
    const auto* positions = sequences_.positions.const_data_ptr<std::int32_t>();
    const auto* blocks = tables_.blocks.const_data_ptr<std::int32_t>();
    over_rows(member, tokens_, [&](std::int64_t row) {
      const float* cos = angles_.cos.const_data_ptr<float>() + row * half;
      const float* sin = angles_.sin.const_data_ptr<float>() + row * half;
      for (std::int64_t h = 0; h < shape.heads + shape.kv_heads; ++h) {
        std::byte* head = heads_.at(row, h * d);
        const at::Tensor& weight = h < shape.heads ? layer.query_norm : layer.key_norm;
        if (weight.defined()) kernels_.rms_norm(head, floats(weight), d, eps, head);
        kernels_.rotate(head, cos, sin, half);
      }
      const std::int64_t position = positions[row];
      const std::int64_t block =
          blocks[row_sequence_[static_cast<std::size_t>(row)] * tables_.blocks.stride(0) +
                 position / block_size_];
      for (std::int64_t h = 0; h < shape.kv_heads; ++h) {
        const std::byte* key = heads_.at(row, (shape.heads + h) * d);
        const std::byte* value = heads_.at(row, (shape.heads + shape.kv_heads + h) * d);
        const std::int64_t place =
            (block * shape.kv_heads + h) * block_size_ + position % block_size_;
        if (cache.quantized()) {
          const auto quantize = [&](const std::byte* head, std::byte* into) {
            return attention_kernels_.quantize(head, static_cast<int>(d),
                                               reinterpret_cast<std::int8_t*>(into + place * d));
          };
          key_scales[place] = quantize(key, keys);
          value_scales[place] = quantize(value, values);
        } else {
          std::memcpy(keys + place * d * heads_.size, key, head_bytes);
          std::memcpy(values + place * d * heads_.size, value, head_bytes);
        }
      }
    });
  }

  /// x += down(silu(gate(x)) * up(x)).
  void perceptron(cpu::CrewMember& member, const Layer& layer, const Rows& x, std::int64_t rows,
                  const Rows& residual) const {
    cpu::ProductOutput where = output(cpu::Finish::kSwiglu, activated_, layer.gate_bias);
    where.up_bias = floats(layer.up_bias);
    {
      const Part part(member, layer.gate_up.name(), layer.gate_up.bytes());
      layer.gate_up.run(member, kernels_, x, rows, threads_, where, rounded_);
    }
    round(member, activated_, rows, layer.down);
    linear(member, activated_, rows, layer.down, layer.down_bias, cpu::Finish::kAdd, residual);
  }

  /// One layer. `narrowed`: from the queries on only the output rows go on, and `residual` and
  /// `rows` become theirs.
  void layer(cpu::CrewMember& member, std::size_t index, Rows& residual, std::int64_t& rows,
             bool narrowed) const {
    const Layer& layer = stack_.layers_[index];
    const PagedKeyValues& cache = caches_[index];
    const DecoderShape& shape = stack_.shape_;
    norm(member, residual, rows, layer.input_norm, normed_, &layer.query_key_value);
    linear(member, normed_, rows, layer.query_key_value, layer.query_key_value_bias,
           cpu::Finish::kStore, heads_);
    place_heads(member, layer, cache);
    if (narrowed) {
      rows = wanted();
      over_rows(member, rows, [&](std::int64_t i) {
        const std::int64_t row = (*output_rows_)[static_cast<std::size_t>(i)];
        std::memcpy(narrow_residual_.at(i), residual_.at(row),
                    static_cast<std::size_t>(stack_.hidden_ * residual_.size));
      });
      residual = narrow_residual_;
      // Rows only move up, so that one thread can move them in place.
      member.phase(1, [&](std::int64_t) {
        for (std::int64_t i = 0; i < rows; ++i) {
          std::memmove(heads_.at(i), heads_.at((*output_rows_)[static_cast<std::size_t>(i)]),
                       static_cast<std::size_t>(shape.heads * shape.head_dim * heads_.size));
        }
      });
    }
    {
      const Part part(member, "tigerbot::step_attention");
      attention_.at({layer.sliding_window, narrowed})
          .run(member, {heads_.base, heads_.stride}, {attended_.base, attended_.stride}, cache);
    }
    round(member, attended_, rows, layer.output);
    linear(member, attended_, rows, layer.output, layer.output_bias, cpu::Finish::kAdd, residual);
    norm(member, residual, rows, layer.post_attention_norm, normed_, &layer.gate_up);
    perceptron(member, layer, normed_, rows, residual);
  }

  const DecoderStack& stack_;
  const RopeAngles& angles_;
  const Sequences& sequences_;
  const BlockTables& tables_;
  const std::vector<PagedKeyValues>& caches_;
  const std::optional<std::vector<std::int64_t>>& output_rows_;
  bool bfloat16_;
  const cpu::LinearKernels& kernels_;
  const cpu::AttentionKernels& attention_kernels_;
  std::int64_t tokens_;
  std::int64_t threads_;
  std::int64_t block_size_ = 1;
  std::vector<std::int32_t> row_sequence_;
  std::map<std::pair<std::int64_t, bool>, cpu::StepAttention> attention_;
  at::Tensor memory_;
  std::byte* rounded_ = nullptr;  // activations of the product at hand, for quantized weights
  Rows residual_, narrow_residual_, normed_, heads_, attended_, activated_;
};

at::Tensor DecoderStack::step(const at::Tensor& embeddings, const RopeAngles& angles,
                              const Sequences& sequences, const BlockTables& tables,
                              const std::vector<PagedKeyValues>& caches,
                              const std::optional<std::vector<std::int64_t>>& output_rows) const {
  const std::int64_t tokens = sequences.tokens();
  check_shape("decode step", "embeddings", embeddings, {tokens, hidden_});
  check_shape("decode step", "angles.cos", angles.cos, {tokens, -1});
  check_shape("decode step", "angles.sin", angles.sin, {tokens, angles.cos.size(1)});
  if (embeddings.scalar_type() != type_ || !embeddings.device().is_cpu()) {
    fail("decode step: embeddings are {} but the weights are {} on the CPU", describe(embeddings),
         c10::toString(type_));
  }
  if (2 * angles.cos.size(1) > shape_.head_dim) {
    fail("decode step: {} angles but a head has {} features", angles.cos.size(1), shape_.head_dim);
  }
  if (caches.size() != layers_.size() ||
      static_cast<std::int64_t>(tables.context_lengths.size()) != sequences.count()) {
    fail("decode step: {} layers of cache for {} layers, {} context lengths for {} sequences",
         caches.size(), layers_.size(), tables.context_lengths.size(), sequences.count());
  }
  for (const PagedKeyValues& cache : caches) {
    for (const at::Tensor* side : {&cache.keys, &cache.values}) {
      check_shape("decode step", "cache", *side,
                  {-1, shape_.kv_heads, caches.front().block_size(), shape_.head_dim});
      if (!side->is_contiguous()) fail("decode step: the cache must be contiguous");
    }
    check_cache_types(type_, cache);
  }
  for (std::int64_t s = 0; s < sequences.count(); ++s) {
    const std::int64_t context = tables.context_lengths[static_cast<std::size_t>(s)];
    if (context < sequences.length(s) ||
        context > tables.blocks.size(1) * caches.front().block_size()) {
      fail(
          "decode step: sequence {} has {} tokens in the cache, {} of them new, in {} blocks of {}",
          s, context, sequences.length(s), tables.blocks.size(1), caches.front().block_size());
    }
  }
  std::int64_t least = 0;
  for (const std::int64_t row : output_rows.value_or(std::vector<std::int64_t>())) {
    if (row < least || row >= tokens) {
      fail("decode step: output row {} of {} tokens is out of order or range", row, tokens);
    }
    least = row + 1;
  }
  BlockTables whole = tables;
  whole.blocks = tables.blocks.contiguous();
  const RopeAngles whole_angles{angles.cos.contiguous(), angles.sin.contiguous()};
  return Run(*this, whole_angles, sequences, whole, caches, output_rows)(embeddings.contiguous());
}

}  // namespace tigerbot::ops
