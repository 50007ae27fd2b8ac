#include "train/cost.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/zeros.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <fstream>
#include <limits>
#include <string>

namespace tigerbot::train {
namespace {

std::int64_t element_size(at::ScalarType type) { return type == at::kFloat ? 4 : 2; }

/// A number of /proc/meminfo, in bytes.
std::uint64_t memory_info(const std::string& key) {
  std::ifstream file("/proc/meminfo");
  for (std::string name; file >> name;) {
    std::uint64_t value = 0;
    file >> value;
    if (name == key + ":") return value << 10;
    file.ignore(std::numeric_limits<std::streamsize>::max(), '\n');
  }
  return std::numeric_limits<std::uint64_t>::max();
}

std::uint64_t number_in(const char* path) {
  std::ifstream file(path);
  std::uint64_t value = 0;
  return file >> value ? value : std::numeric_limits<std::uint64_t>::max();
}

}  // namespace

MemoryEstimate estimate_memory(const ModelConfig& config, const RunShape& shape) {
  const std::int64_t size = element_size(shape.dtype);
  const bool half = shape.dtype == at::kBFloat16;
  MemoryEstimate estimate;
  estimate.weights =
      static_cast<std::uint64_t>((shape.parameters - shape.quantized_weights) * size) +
      shape.quantized_bytes;
  estimate.optimizer = static_cast<std::uint64_t>(shape.trained_parameters * (half ? 10 : 8));
  estimate.gradients =
      static_cast<std::uint64_t>(shape.trained_parameters * (shape.adds_up_gradients ? 4 : size));

  // What the backward pass of a layer reads, in elements a token: norms' inputs (their results are
  // made again), queries, keys and values, attention's result, and the perceptron's two wide rows.
  const std::int64_t hidden = config.hidden_size;
  const std::int64_t queries = config.num_attention_heads * config.head_dim;
  const std::int64_t keys = config.num_key_value_heads * config.head_dim;
  const std::int64_t wide = 2 * config.intermediate_size;
  const std::int64_t layer = 2 * hidden + 2 * queries + 2 * keys + wide;
  std::int64_t kept = layer * config.num_hidden_layers;
  if (shape.checkpointing == ActivationCheckpointing::kSelective) {
    kept = (layer + hidden - wide) * config.num_hidden_layers + 2 * wide;
  } else if (shape.checkpointing == ActivationCheckpointing::kFull) {
    kept = 2 * hidden * config.num_hidden_layers + 2 * layer;
  }
  // Beside them: one part of the logits, and what a layer's backward pass holds at once.
  const std::int64_t logits = 2 * 256 * config.vocab_size;
  const std::int64_t passing = shape.micro_batch_tokens * (wide + 4 * hidden);
  estimate.activations =
      static_cast<std::uint64_t>((kept * shape.micro_batch_tokens + logits + passing) * size);
  return estimate;
}

double flops_per_token(const ModelConfig& config, const RunShape& shape) {
  const double forward =
      2.0 * static_cast<double>(shape.layer_weights + config.vocab_size * config.hidden_size);
  const double context = static_cast<double>(shape.sequence_length) / 2;
  const double attention =
      4.0 * context *
      static_cast<double>(config.num_attention_heads * config.head_dim * config.num_hidden_layers);
  const double trained = std::min(
      1.0, static_cast<double>(shape.trained_parameters) / static_cast<double>(shape.parameters));
  // Attention's own backward pass is twice the forward one; a weight's gradient is as much again as
  // the gradient of its input.
  return forward * (2 + trained) + attention * 3;
}

double measure_dense_peak(const ModelConfig& config, at::ScalarType dtype) {
  const at::NoGradGuard no_grad;
  constexpr std::int64_t kRows = 1024;
  const at::TensorOptions options(dtype);
  const at::Tensor x = at::zeros({kRows, config.hidden_size}, options);
  const at::Tensor weight = at::zeros({config.intermediate_size, config.hidden_size}, options);
  const double operations = 2.0 * static_cast<double>(kRows * config.hidden_size) *
                            static_cast<double>(config.intermediate_size);
  using Clock = std::chrono::steady_clock;
  const auto seconds = [](Clock::time_point from) {
    return std::chrono::duration<double>(Clock::now() - from).count();
  };
  double best = 1e300;
  const auto start = Clock::now();
  for (int round = 0; round < 200 && (round < 3 || seconds(start) < 0.5); ++round) {
    const auto before = Clock::now();
    at::linear(x, weight);
    if (round > 0) best = std::min(best, seconds(before));
  }
  return operations / best;
}

std::uint64_t available_memory() {
  std::uint64_t available = memory_info("MemAvailable");
  const std::uint64_t limit = number_in("/sys/fs/cgroup/memory.max");
  const std::uint64_t used = number_in("/sys/fs/cgroup/memory.current");
  if (limit != std::numeric_limits<std::uint64_t>::max() && used < limit) {
    available = std::min(available, limit - used);
  }
  return available;
}

std::uint64_t resident_memory() {
  std::ifstream file("/proc/self/statm");
  std::uint64_t size = 0, resident = 0;
  file >> size >> resident;
  return resident * static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE));
}

}  // namespace tigerbot::train
