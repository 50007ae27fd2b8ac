#include "infer/speed.h"

#include <ATen/Parallel.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/full.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/ones.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <numeric>

#include "infer/key_value_cache.h"
#include "ops/linear.h"

namespace tigerbot {
namespace {

constexpr std::int64_t kBlockSize = 32;

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

/// The least seconds of several runs.
template <class Function>
double fastest(int runs, const Function& fn) {
  double best = 1e30;
  for (int i = 0; i < runs; ++i) {
    const auto start = std::chrono::steady_clock::now();
    fn();
    best = std::min(best, seconds_since(start));
  }
  return best;
}

/// Sequences in a cache of their own, each in consecutive blocks.
class Streams {
 public:
  Streams(Decoder& decoder, std::int64_t count, std::int64_t tokens,
          std::optional<at::ScalarType> cache_dtype)
      : decoder_(decoder),
        blocks_((tokens + kBlockSize - 1) / kBlockSize),
        cache_(decoder.config(), count * blocks_, kBlockSize,
               cache_dtype.value_or(decoder.output_weight().scalar_type()),
               decoder.output_weight().device()),
        lengths_(static_cast<std::size_t>(count), 0) {
    tables_ = at::empty({count, blocks_}, at::kInt);
    std::iota(tables_.data_ptr<std::int32_t>(), tables_.data_ptr<std::int32_t>() + tables_.numel(),
              0);
  }

  /// The next `tokens` tokens of every sequence; gives the logits after each sequence's last.
  at::Tensor step(const at::Tensor& ids, std::int64_t tokens) {
    const at::Device device = decoder_.output_weight().device();
    const Sequences sequences =
        make_sequences(std::vector<std::int64_t>(lengths_.size(), tokens), lengths_, device);
    StepCache cache;
    cache.layers = cache_.layers();
    cache.tables.blocks = tables_.to(device);
    std::vector<std::int64_t> last;
    for (std::size_t i = 0; i < lengths_.size(); ++i) {
      lengths_[i] += tokens;
      cache.tables.context_lengths.push_back(static_cast<std::int32_t>(lengths_[i]));
      last.push_back(sequences.cu_seqlens[i + 1] - 1);
    }
    cache.output_rows = last;
    return decoder_.logits(decoder_.forward(ids.to(device), sequences, &cache));
  }

 private:
  Decoder& decoder_;
  std::int64_t blocks_;
  KeyValueCache cache_;
  std::vector<std::int64_t> lengths_;
  at::Tensor tables_;
};

at::Tensor random_ids(std::int64_t count, std::int64_t vocabulary) {
  at::Tensor ids = at::empty({count}, at::kInt);
  // Any ids do: a linear congruential walk over the vocabulary.
  std::int64_t id = 1;
  for (std::int64_t i = 0; i < count; ++i) {
    id = (id * 1103515245 + 12345) % 2147483648;
    ids.data_ptr<std::int32_t>()[i] = static_cast<std::int32_t>(id % vocabulary);
  }
  return ids;
}

/// The most likely piece of each row, as ids of the next step.
at::Tensor greedy(const at::Tensor& logits) {
  const at::Tensor wide = logits.to(at::kCPU, at::kFloat).contiguous();
  const std::int64_t pieces = wide.size(1);
  at::Tensor ids = at::empty({wide.size(0)}, at::kInt);
  auto* out = ids.data_ptr<std::int32_t>();
  at::parallel_for(0, wide.size(0), 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t row = begin; row < end; ++row) {
      const float* first = wide.const_data_ptr<float>() + row * pieces;
      out[row] = static_cast<std::int32_t>(std::max_element(first, first + pieces) - first);
    }
  });
  return ids;
}

}  // namespace

double SpeedSample::median() const {
  std::vector<double> sorted = tokens_per_second;
  std::sort(sorted.begin(), sorted.end());
  const std::size_t half = sorted.size() / 2;
  return sorted.size() % 2 == 1 ? sorted[half] : (sorted[half - 1] + sorted[half]) / 2;
}

double SpeedSample::least() const {
  return *std::min_element(tokens_per_second.begin(), tokens_per_second.end());
}

double SpeedSample::most() const {
  return *std::max_element(tokens_per_second.begin(), tokens_per_second.end());
}

MachineLimits measure_machine_limits(at::ScalarType dtype) {
  const at::NoGradGuard no_grad;
  MachineLimits limits;
  {
    constexpr std::int64_t kWords = std::int64_t{1} << 25;  // 256 MiB
    const at::Tensor words = at::ones({kWords}, at::kLong);
    const std::int64_t* data = words.const_data_ptr<std::int64_t>();
    std::atomic<std::int64_t> sink{0};
    const double seconds = fastest(4, [&] {
      at::parallel_for(0, kWords / 4096, 1, [&](std::int64_t begin, std::int64_t end) {
        std::int64_t sums[8] = {};
        for (std::int64_t i = begin * 4096; i < end * 4096; i += 8) {
          for (int lane = 0; lane < 8; ++lane) sums[lane] ^= data[i + lane];
        }
        sink += std::accumulate(std::begin(sums), std::end(sums), std::int64_t{0});
      });
    });
    limits.read_bytes_per_second = 8.0 * kWords / seconds;
  }
  constexpr std::int64_t kRows = 512, kFeatures = 1536;
  const at::Tensor x = at::ones({kRows, kFeatures}, dtype);
  const at::Tensor weight = at::ones({kFeatures, kFeatures}, dtype);
  const ops::PackedWeight packed(weight);
  const double seconds = std::min(fastest(8, [&] { ops::linear(x, packed); }),
                                  fastest(8, [&] { at::linear(x, weight); }));
  limits.products_per_second = 2.0 * kRows * kFeatures * kFeatures / seconds;
  return limits;
}

SpeedSample measure_prefill(Decoder& decoder, std::int64_t tokens, std::int64_t chunk,
                            std::int64_t repetitions, std::optional<at::ScalarType> cache_dtype) {
  const at::NoGradGuard no_grad;
  const at::Tensor ids = random_ids(tokens, decoder.config().vocab_size);
  SpeedSample sample;
  for (std::int64_t i = 0; i <= repetitions; ++i) {
    Streams stream(decoder, 1, tokens, cache_dtype);
    const auto start = std::chrono::steady_clock::now();
    for (std::int64_t first = 0; first < tokens; first += chunk) {
      const std::int64_t length = std::min(chunk, tokens - first);
      stream.step(ids.narrow(0, first, length), length);
    }
    const double seconds = seconds_since(start);
    if (i > 0) sample.tokens_per_second.push_back(static_cast<double>(tokens) / seconds);
  }
  return sample;
}

SpeedSample measure_decode(Decoder& decoder, std::int64_t tokens, std::int64_t sequences,
                           std::int64_t repetitions, std::optional<at::ScalarType> cache_dtype) {
  const at::NoGradGuard no_grad;
  SpeedSample sample;
  for (std::int64_t i = 0; i <= repetitions; ++i) {
    Streams streams(decoder, sequences, tokens, cache_dtype);
    at::Tensor ids = random_ids(sequences, decoder.config().vocab_size);
    const std::int64_t steps = i == 0 ? std::min<std::int64_t>(tokens, 8) : tokens;
    const auto start = std::chrono::steady_clock::now();
    for (std::int64_t step = 0; step < steps; ++step) {
      ids = greedy(streams.step(ids, 1));
    }
    const double seconds = seconds_since(start);
    if (i > 0) {
      sample.tokens_per_second.push_back(static_cast<double>(tokens * sequences) / seconds);
    }
  }
  return sample;
}

namespace {

/// Weights of one layer's products.
double layer_weights(const ModelConfig& config) {
  const auto hidden = static_cast<double>(config.hidden_size);
  const auto head_dim = static_cast<double>(config.head_dim);
  const double heads = static_cast<double>(config.num_attention_heads) * head_dim;
  const double kv_heads = static_cast<double>(config.num_key_value_heads) * head_dim;
  const double perceptron = config.family == ModelConfig::Family::kLlama ? 3 : 2;
  return hidden * (2 * heads + 2 * kv_heads) +
         perceptron * hidden * static_cast<double>(config.intermediate_size);
}

}  // namespace

double prefill_operations(const ModelConfig& config, std::int64_t tokens) {
  const auto n = static_cast<double>(tokens);
  const auto layers = static_cast<double>(config.num_hidden_layers);
  const auto heads = static_cast<double>(config.num_attention_heads * config.head_dim);
  const double output = 2.0 * static_cast<double>(config.hidden_size * config.vocab_size);
  return layers * (2 * n * layer_weights(config) + 2 * n * (n + 1) * heads) + output;
}

double decode_bytes(Decoder& decoder, at::ScalarType dtype, at::ScalarType cache_dtype,
                    std::int64_t tokens, std::int64_t sequences) {
  const ModelConfig& config = decoder.config();
  const auto bytes_of = [&](const ops::QuantizedWeight& quantized, std::int64_t weights) {
    return quantized.defined()
               ? static_cast<double>(quantized.bytes())
               : static_cast<double>(weights) * static_cast<double>(c10::elementSize(dtype));
  };
  double bytes = bytes_of(decoder.quantized_output(), config.hidden_size * config.vocab_size);
  for (const Linear* linear : decoder.linears()) {
    bytes += bytes_of(linear->quantized(), linear->in_features() * linear->out_features());
  }
  return bytes + static_cast<double>(sequences * tokens) / 2 *
                     static_cast<double>(KeyValueCache::bytes_per_token(config, cache_dtype));
}

}  // namespace tigerbot
