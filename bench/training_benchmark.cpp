// Training steps of a random model: tokens a second, memory, and where the time goes.
//
//   bench_training --shape smollm2 --sequences 2 --length 1024 --steps 5 --json
//   bench_training --shape smollm2 --sequences 2 --length 1024 --profile
//
// bench/training.py runs it in turn with transformers.

#include <ATen/Parallel.h>
#include <ATen/record_function.h>
#include <time.h>
#include <torch/csrc/autograd/autograd.h>

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <fstream>
#include <map>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/json.h"
#include "base/random.h"
#include "ops/cpu/allocator.h"
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

/// Time spent in each function that LibTorch records, without what it calls.
class Profile {
 public:
  struct Entry {
    double seconds = 0;
    std::int64_t calls = 0;
  };

  void begin(const char* name) { open_.push_back({name, Clock::now(), 0}); }
  void end() {
    const Open done = open_.back();
    open_.pop_back();
    const double all = seconds_since(done.start);
    Entry& entry = entries_[done.name];
    entry.seconds += all - done.inside;
    ++entry.calls;
    if (!open_.empty()) open_.back().inside += all;
  }

  void print(double total, std::int64_t steps) const {
    std::vector<std::pair<std::string, Entry>> list(entries_.begin(), entries_.end());
    std::ranges::sort(
        list, [](const auto& a, const auto& b) { return a.second.seconds > b.second.seconds; });
    std::printf("%-52s %9s %7s %8s\n", "function (own time)", "ms/step", "share", "calls");
    double named = 0;
    for (const auto& [name, entry] : list) named += entry.seconds;
    for (std::size_t i = 0; i < std::min<std::size_t>(list.size(), 24); ++i) {
      const auto& [name, entry] = list[i];
      std::printf("%-52s %9.1f %6.1f%% %8.0f\n", name.c_str(),
                  entry.seconds * 1e3 / static_cast<double>(steps), entry.seconds * 100 / total,
                  static_cast<double>(entry.calls) / static_cast<double>(steps));
    }
    std::printf("%-52s %9.1f %6.1f%%\n", "unrecorded",
                (total - named) * 1e3 / static_cast<double>(steps), (total - named) * 100 / total);
  }

  std::map<std::string, Entry> entries_;

 private:
  struct Open {
    std::string name;
    Clock::time_point start;
    double inside;
  };
  std::vector<Open> open_;
};

Profile* profile = nullptr;

std::unique_ptr<at::ObserverContext> on_begin(const at::RecordFunction& function) {
  std::string name = function.name();
  // A dense product by its shape.
  if (name == "aten::mm" || name == "aten::addmm" || name == "aten::mkldnn_linear" ||
      name == "aten::linear" || name == "aten::copy_") {
    for (const auto& input : function.inputs()) {
      if (!input.isTensor() || !input.toTensor().defined()) continue;
      const at::Tensor& tensor = input.toTensor();
      name += " [";
      for (std::int64_t d = 0; d < tensor.dim(); ++d) {
        name += (d ? "," : "") + std::to_string(tensor.size(d));
      }
      name += tensor.is_contiguous() ? "]" : "]t";
    }
  }
  profile->begin(name.c_str());
  return nullptr;
}
void on_end(const at::RecordFunction&, at::ObserverContext*) { profile->end(); }

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
  Profile recorded;
  at::CallbackHandle handle = 0;
  double profiled = 0;
  for (std::int64_t step = 0; step < options.steps + 1; ++step) {
    if (step == 1 && options.profile) {
      profile = &recorded;
      handle =
          at::addGlobalCallback(at::RecordFunctionCallback(on_begin, on_end).needsInputs(true));
    }
    const MicroBatch batch =
        batch_of(config, options.sequences, options.length, static_cast<std::uint64_t>(step));
    const auto start = Clock::now();
    const double processor_start = processor_seconds();
    optimizer.begin_step(1);
    {
      const BatchLoss loss = language_model_loss(*model, batch);
      const double after_forward = seconds_since(start);
      torch::autograd::backward({loss.loss}, {});
      const double after_backward = seconds_since(start);
      if (step > 0) forward += after_forward, backward += after_backward - after_forward;
    }
    const auto updating = Clock::now();
    optimizer.step(1e-4, optimizer.gradient_norm());
    if (step > 0) {
      update += seconds_since(updating);
      times.push_back(seconds_since(start));
      processor_times.push_back(processor_seconds() - processor_start);
      profiled += times.back();
    }
  }
  if (options.profile) {
    at::removeCallback(handle);
    recorded.print(profiled, options.steps);
  }
  std::ranges::sort(times);
  std::ranges::sort(processor_times);
  const double median = times[times.size() / 2];
  const double tokens = static_cast<double>(options.sequences * options.length);
  const double peak = measure_dense_peak(config, at::kBFloat16);
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
  app.add_option("--steps", options.steps, "Steps that count, after one that does not");
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
