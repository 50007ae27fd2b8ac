// Training steps of a random model: tokens a second, memory, and where the time goes.
//
//   bench_training --shape smollm2 --sequences 2 --length 1024 --steps 5 --json
//   bench_training --shape smollm2 --sequences 2 --length 1024 --profile
//
// bench/training.py runs it in turn with transformers.

#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <time.h>
#include <torch/csrc/autograd/autograd.h>

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <fstream>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/json.h"
#include "base/random.h"
#include "ops/cpu/allocator.h"
#include "step_profile.h"
#include "train/cost.h"
#include "train/objective.h"
#include "train/optimizer.h"
#include "train/run_parts.h"

namespace tigerbot::train {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

ModelConfig shape_named(const std::string& name) {
  ModelConfig config;
  config.model_type = "llama";
  config.tie_word_embeddings = true;
  config.max_position_embeddings = 8192;
  if (name == "smollm2") {  // SmolLM2-135M
    config.vocab_size = 49152;
    config.hidden_size = 576;
    config.intermediate_size = 1536;
    config.num_hidden_layers = 30;
    config.num_attention_heads = 9;
    config.num_key_value_heads = 3;
    config.head_dim = 64;
    config.rope_theta = 100000;
  } else if (name == "10m") {
    config.vocab_size = 16384;
    config.hidden_size = 256;
    config.intermediate_size = 704;
    config.num_hidden_layers = 8;
    config.num_attention_heads = 4;
    config.num_key_value_heads = 2;
    config.head_dim = 64;
  } else {
    fail("--shape: {} is not one of smollm2, 10m", name);
  }
  return config;
}

/// Processor time of all threads so far: what a step costs on a machine that others use too.
double processor_seconds() {
  timespec time{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

std::uint64_t peak_memory() {
  std::ifstream file("/proc/self/status");
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with("VmHWM:")) return std::stoull(line.substr(6)) << 10;
  }
  return 0;
}

/// Bytes a second that a copy reads and writes, of more than any cache holds.
double copy_bandwidth() {
  const at::Tensor from = at::empty({1 << 28}, at::kByte).fill_(1);
  at::Tensor to = at::empty_like(from);
  double best = 1e300;
  for (int round = 0; round < 6; ++round) {
    const auto start = Clock::now();
    to.copy_(from);
    if (round > 0) best = std::min(best, seconds_since(start));
  }
  return 2.0 * static_cast<double>(from.nbytes()) / best;
}

MicroBatch batch_of(const ModelConfig& config, std::int64_t sequences, std::int64_t length,
                    std::uint64_t step) {
  MicroBatch batch;
  for (std::int64_t i = 0; i < sequences * length; ++i) {
    batch.ids.push_back(static_cast<TokenId>(random_below(
        {1, step, static_cast<std::uint64_t>(i)}, static_cast<std::uint64_t>(config.vocab_size))));
  }
  for (std::size_t i = 0; i < batch.ids.size(); ++i) {
    const bool last = (i + 1) % static_cast<std::size_t>(length) == 0;
    batch.labels.push_back(last ? -100 : batch.ids[i + 1]);
  }
  batch.weights.assign(batch.ids.size(), 1.0F / static_cast<float>(sequences * (length - 1)));
  batch.lengths.assign(static_cast<std::size_t>(sequences), length);
  batch.sources.assign(static_cast<std::size_t>(sequences), 0);
  return batch;
}

struct Options {
  std::string shape = "smollm2";
  std::string checkpointing = "none";
  std::int64_t sequences = 2;
  std::int64_t length = 1024;
  std::int64_t steps = 5;
  std::int64_t warmup = 1;
  int threads = 2;
  bool profile = false;
  bool json = false;
};

void run(const Options& options) {
  at::set_num_threads(options.threads);
  const ModelConfig config = shape_named(options.shape);
  const auto model = make_decoder(config, random_weights(1, 0.02), at::kBFloat16);
  if (options.checkpointing == "selective") {
    model->set_activation_checkpointing(ActivationCheckpointing::kSelective);
  } else if (options.checkpointing == "full") {
    model->set_activation_checkpointing(ActivationCheckpointing::kFull);
  }
  Optimizer optimizer(choose_parameters(*model, {"all"}, "bench"), {});
  RunShape shape;
  shape.parameters = shape.trained_parameters = count_elements(optimizer.parameters());
  for (const Linear* linear : model->linears()) {
    shape.layer_weights += linear->in_features() * linear->out_features();
  }
  shape.sequence_length = options.length;
  shape.micro_batch_tokens = options.length * options.sequences;
  double forward = 0, backward = 0, update = 0;
  std::vector<double> times, processor_times;
  const auto length = static_cast<double>(options.length);
  StepProfile profile(config, static_cast<double>(options.sequences) * length * (length + 1) / 2);
  double profiled = 0;
  for (std::int64_t step = 0; step < options.steps + options.warmup; ++step) {
    const bool counts = step >= options.warmup;
    if (step == options.warmup && options.profile) profile.start();
    const MicroBatch batch =
        batch_of(config, options.sequences, options.length, static_cast<std::uint64_t>(step));
    const auto start = Clock::now();
    const double processor_start = processor_seconds();
    optimizer.begin_step(1);
    profile.set_phase("forward");
    {
      const BatchLoss loss = language_model_loss(*model, batch);
      const double after_forward = seconds_since(start);
      profile.set_phase("backward");
      torch::autograd::backward({loss.loss}, {});
      const double after_backward = seconds_since(start);
      if (counts) forward += after_forward, backward += after_backward - after_forward;
    }
    profile.set_phase("update");
    const auto updating = Clock::now();
    optimizer.step(1e-4, optimizer.gradient_norm());
    if (counts) {
      update += seconds_since(updating);
      times.push_back(seconds_since(start));
      processor_times.push_back(processor_seconds() - processor_start);
      profiled += times.back();
    }
  }
  if (options.profile) profile.stop();
  std::ranges::sort(times);
  std::ranges::sort(processor_times);
  const double median = times[times.size() / 2];
  const double tokens = static_cast<double>(options.sequences * options.length);
  const double peak = measure_dense_peak(config, at::kBFloat16);
  if (options.profile) profile.print(profiled, options.steps, peak, copy_bandwidth());
  const double operations = flops_per_token(config, shape);
  const auto count = static_cast<double>(options.steps);
  const Json result = {{"tokens_per_second", tokens / median},
                       {"processor_seconds", processor_times[processor_times.size() / 2]},
                       {"seconds",
                        {{"median", median},
                         {"least", times.front()},
                         {"most", times.back()},
                         {"forward_and_loss", forward / count},
                         {"backward", backward / count},
                         {"update", update / count}}},
                       {"peak_memory_bytes", peak_memory()},
                       {"dense_peak", peak},
                       {"operations_per_token", operations},
                       {"mfu", tokens / median * operations / peak}};
  if (options.json) {
    std::printf("%s\n", result.dump().c_str());
  } else {
    std::printf("%s\n", result.dump(2).c_str());
  }
}

}  // namespace
}  // namespace tigerbot::train

int main(int argc, char** argv) {
  tigerbot::cpu::install_tensor_allocator();
  tigerbot::train::Options options;
  CLI::App app{"Training steps of a random model"};
  app.add_option("--shape", options.shape, "smollm2 or 10m");
  app.add_option("--sequences", options.sequences, "Sequences of a step");
  app.add_option("--length", options.length, "Tokens of a sequence");
  app.add_option("--steps", options.steps, "Steps that count");
  app.add_option("--warmup", options.warmup, "Steps before these");
  app.add_option("--threads", options.threads, "Processor threads");
  app.add_option("--activation-checkpointing", options.checkpointing, "none, selective or full");
  app.add_flag("--profile", options.profile, "Print where the time goes");
  app.add_flag("--json", options.json, "One JSON object on one line");
  CLI11_PARSE(app, argc, argv);
  try {
    tigerbot::train::run(options);
  } catch (const tigerbot::Error& error) {
    std::fprintf(stderr, "bench_training: %s\n", error.what());
    return error.exit_status();
  }
  return 0;
}
