#include <ATen/Parallel.h>

#include <CLI/App.hpp>
#include <algorithm>
#include <cstdio>
#include <memory>
#include <vector>

#include "base/error.h"
#include "cli/commands.h"
#include "cli/options.h"
#include "infer/speed.h"
#include "ops/cpu/isa.h"

namespace tigerbot {

namespace {

struct BenchOptions {
  ModelOptions model;
  std::vector<std::int64_t> prompt_tokens = {512, 128, 2048};
  std::int64_t new_tokens = 128;
  std::vector<std::int64_t> batch_sizes = {1, 4, 16, 64};
  std::int64_t repetitions = 5;
  std::int64_t prefill_chunk = 512;
  std::string kv_cache_dtype = "auto";
  bool json = false;
};

/// One line of the report.
struct Measurement {
  std::int64_t size;  // prompt tokens, or sequences together
  SpeedSample sample;
  double share;  // of the machine's limit
};

nlohmann::ordered_json to_json(const char* size_name, const std::vector<Measurement>& list) {
  auto array = nlohmann::ordered_json::array();
  for (const Measurement& m : list) {
    array.push_back({{size_name, m.size},
                     {"tokens_per_second", m.sample.median()},
                     {"least", m.sample.least()},
                     {"most", m.sample.most()},
                     {"share_of_limit", m.share}});
  }
  return array;
}

void check(const BenchOptions& options, const ModelConfig& config) {
  const std::int64_t context = context_length(config);
  const auto in_context = [&](const char* name, std::int64_t tokens) {
    if (tokens < 1) fail("{} must be at least 1", name);
    if (context > 0 && tokens > context) {
      fail("{} {} is longer than the model's context of {} tokens", name, tokens, context);
    }
  };
  for (const std::int64_t tokens : options.prompt_tokens) in_context("--prompt-tokens", tokens);
  in_context("--new-tokens", options.new_tokens);
  for (const std::int64_t size : options.batch_sizes) {
    if (size < 1 || size > 4096) fail("--batch-sizes must be from 1 to 4096");
  }
  if (options.repetitions < 1) fail("--repetitions must be at least 1");
  if (options.prefill_chunk < 1) fail("--prefill-chunk must be at least 1");
}

void run(const BenchOptions& options) {
  const std::optional<at::ScalarType> cache_dtype = parse_kv_cache_dtype(options.kv_cache_dtype);
  LanguageModel model(options.model.prepare(), options.model.parsed_dtype(),
                      options.model.parsed_device());
  const ModelConfig& config = model.decoder().config();
  check(options, config);
  const MachineLimits limits = measure_machine_limits(model.dtype());

  std::vector<Measurement> prefill;
  for (const std::int64_t tokens : options.prompt_tokens) {
    const SpeedSample sample = measure_prefill(model.decoder(), tokens, options.prefill_chunk,
                                               options.repetitions, cache_dtype);
    const double operations = prefill_operations(config, tokens);
    prefill.push_back(
        {tokens, sample,
         operations * sample.median() / static_cast<double>(tokens) / limits.products_per_second});
  }
  std::vector<Measurement> decode;
  for (const std::int64_t size : options.batch_sizes) {
    const SpeedSample sample =
        measure_decode(model.decoder(), options.new_tokens, size, options.repetitions, cache_dtype);
    const double bytes =
        decode_bytes(model.decoder(), model.dtype(), cache_dtype.value_or(model.dtype()),
                     options.new_tokens, size);
    decode.push_back(
        {size, sample,
         bytes * sample.median() / static_cast<double>(size) / limits.read_bytes_per_second});
  }

  if (options.json) {
    print_json({{"prefill_tokens_per_second", prefill.front().sample.median()},
                {"decode_tokens_per_second", decode.front().sample.median()},
                {"prompt_tokens", prefill.front().size},
                {"new_tokens", options.new_tokens},
                {"threads", at::get_num_threads()},
                {"dtype", model.dtype() == at::kFloat ? "float32" : "bfloat16"},
                {"kv_cache_dtype", options.kv_cache_dtype},
                {"instruction_set", cpu::isa_name(cpu::best_isa())},
                {"read_gigabytes_per_second", limits.read_bytes_per_second / 1e9},
                {"dense_product_gflops", limits.products_per_second / 1e9},
                {"prefill", to_json("prompt_tokens", prefill)},
                {"decode", to_json("batch_size", decode)}});
    return;
  }
  std::string text =
      fmt::format("{} threads, {}, {}; memory reads {:.1f} GB/s, dense products {:.0f} GFLOP/s\n\n",
                  at::get_num_threads(), model.dtype() == at::kFloat ? "float32" : "bfloat16",
                  cpu::isa_name(cpu::best_isa()), limits.read_bytes_per_second / 1e9,
                  limits.products_per_second / 1e9);
  const auto line = [](const std::string& what, const Measurement& m, const char* limit) {
    return fmt::format("{:<34} {:>9.1f} tokens/s  ({:.1f} to {:.1f})  {:>4.0f}% of {}\n", what,
                       m.sample.median(), m.sample.least(), m.sample.most(), 100 * m.share, limit);
  };
  for (const Measurement& m : prefill) {
    text += line(fmt::format("prefill, {} tokens", m.size), m, "dense products");
  }
  for (const Measurement& m : decode) {
    text += line(fmt::format("decode, {} tokens, {} at a time", options.new_tokens, m.size), m,
                 "memory bandwidth");
  }
  std::printf("%s", text.c_str());
}

}  // namespace

void add_bench_command(CLI::App& app) {
  auto options = std::make_shared<BenchOptions>();
  CLI::App& command = *app.add_subcommand("bench", "Measure a model's speed on this machine");
  options->model.add(command);
  command
      .add_option("--prompt-tokens", options->prompt_tokens,
                  "Prompt lengths, separated by commas; --json reports the first by itself")
      ->delimiter(',')
      ->capture_default_str();
  command.add_option("--new-tokens", options->new_tokens, "Tokens of each answer")
      ->capture_default_str();
  command
      .add_option("--batch-sizes", options->batch_sizes, "Answers together, separated by commas")
      ->delimiter(',')
      ->capture_default_str();
  command.add_option("--repetitions", options->repetitions, "Runs of each; the median counts")
      ->capture_default_str();
  command.add_option("--prefill-chunk", options->prefill_chunk, "Prompt tokens of one step")
      ->capture_default_str();
  command
      .add_option("--kv-cache-dtype", options->kv_cache_dtype,
                  "How keys and values are kept: auto (the model's type) or int8")
      ->capture_default_str();
  command.add_flag("--json", options->json, "Report as one JSON object on stdout");
  command.footer(
      "Example:\n  tigerbot bench smollm2-135m-instruct --prompt-tokens 512 --new-tokens 128 "
      "--threads 2");
  command.callback([options] { run(*options); });
}

}  // namespace tigerbot
