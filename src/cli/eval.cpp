#include <CLI/App.hpp>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <numbers>

#include "base/error.h"
#include "base/files.h"
#include "cli/commands.h"
#include "cli/options.h"
#include "eval/benchmark_rows.h"
#include "eval/next_token.h"
#include "eval/perplexity.h"

namespace tigerbot {

namespace {

struct EvalOptions {
  ModelOptions model;
  std::string perplexity;
  std::string next_token;
  NextTokenOptions sample;
  std::vector<std::string> benchmarks;  // of `eval convert`
  std::string output;
  PerplexityOptions windows;
  std::optional<std::string> kv_cache_dtype;
  bool json = false;
};

/// The table of --next-token: a line for each source and language where there are several.
void print_accuracy(const train::EvaluationResult& result, double seconds) {
  std::string table =
      fmt::format("{:24} {:>8} {:>9} {:>9} {:>9}\n", "", "rows", "tokens", "accuracy", "loss");
  const auto line = [&table](const std::string& name, const train::EvaluationCount& count) {
    table += fmt::format("{:24} {:>8} {:>9} {:>9.4f} {:>9.4f}\n", name, count.rows, count.tokens,
                         count.accuracy(), count.loss());
  };
  for (const auto* groups : {&result.by_source, &result.by_language}) {
    if (groups->size() < 2) continue;
    for (const auto& [name, count] : *groups) line(name, count);
  }
  line("all", result.total);
  std::printf("%s%.1f s\n", table.c_str(), seconds);
}

void run_next_token(const EvalOptions& options) {
  if (!std::filesystem::is_regular_file(options.next_token)) {
    fail("{}: is no file of rows; `tigerbot eval convert` makes one", options.next_token);
  }
  LanguageModel model(options.model.prepare(), options.model.parsed_dtype(),
                      options.model.parsed_device());
  NextTokenOptions sample = options.sample;
  sample.context = options.windows.context;
  const auto start = std::chrono::steady_clock::now();
  const train::EvaluationResult result = measure_next_token(model, options.next_token, sample);
  const double seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  if (!options.json) {
    print_accuracy(result, seconds);
    return;
  }
  Json json = train::evaluation_json(result.total);
  for (const auto& [name, count] : result.by_source) {
    json["by_source"][name] = train::evaluation_json(count);
  }
  for (const auto& [name, count] : result.by_language) {
    json["by_language"][name] = train::evaluation_json(count);
  }
  json["seconds"] = seconds;
  print_json(nlohmann::ordered_json::parse(json.dump()));
}

void run(EvalOptions options) {
  if (options.perplexity.empty() == options.next_token.empty()) {
    fail("eval: give either --perplexity FILE or --next-token FILE");
  }
  if (!options.next_token.empty()) {
    if (options.windows.stride > 0) fail("--stride: is of --perplexity alone");
    if (options.kv_cache_dtype) fail("--kv-cache-dtype: is of --perplexity alone");
    run_next_token(options);
    return;
  }
  if (options.kv_cache_dtype) {
    options.windows.cached = true;
    options.windows.cache_dtype = parse_kv_cache_dtype(*options.kv_cache_dtype);
  }
  const std::string text = read_file(options.perplexity);
  options.windows.name = options.perplexity;
  LanguageModel model(options.model.prepare(), options.model.parsed_dtype(),
                      options.model.parsed_device());
  const auto start = std::chrono::steady_clock::now();
  const Perplexity result = measure_perplexity(model, text, options.windows);
  const double seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  const auto bytes = static_cast<double>(text.size());
  if (options.json) {
    print_json({{"tokens", result.tokens},
                {"nll", result.nll},
                {"perplexity", result.perplexity()},
                {"next_token_accuracy", result.next_token_accuracy()},
                {"bytes", text.size()},
                {"bits_per_byte", result.nll / bytes / std::numbers::ln2},
                {"perplexity_per_byte", std::exp(result.nll / bytes)},
                {"context", result.context},
                {"stride", result.stride},
                {"seconds", seconds}});
    return;
  }
  std::printf("%s", fmt::format("tokens               {}\n"
                                "nll                  {:.4f}\n"
                                "perplexity           {:.4f}\n"
                                "perplexity a byte    {:.4f}\n"
                                "next-token accuracy  {:.4f}\n"
                                "context, stride      {}, {}\n"
                                "time                 {:.1f} s\n",
                                result.tokens, result.nll, result.perplexity(),
                                std::exp(result.nll / bytes), result.next_token_accuracy(),
                                result.context, result.stride, seconds)
                        .c_str());
}

}  // namespace

void add_eval_command(CLI::App& app) {
  auto options = std::make_shared<EvalOptions>();
  CLI::App& command = *app.add_subcommand("eval", "Measure how well a model predicts a text");
  options->model.add(command);
  command.add_option("--perplexity", options->perplexity, "A plain text file");
  CLI::Option* next_token = command.add_option(
      "--next-token", options->next_token,
      "JSON lines of {\"prompt\", \"answer\"}: accuracy over the answers' tokens");
  command.add_option("--max-rows", options->sample.max_rows, "--next-token: rows to sample")
      ->needs(next_token)
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  command.add_option("--seed", options->sample.seed, "--next-token: of the sample")
      ->needs(next_token)
      ->capture_default_str();
  command.add_option(
      "--context", options->windows.context,
      "Tokens of a window, or of a row (default: the model's context, at most 2048)");
  command.add_option("--stride", options->windows.stride,
                     "Tokens from one window to the next (default: the context)");
  command.add_option("--kv-cache-dtype", options->kv_cache_dtype,
                     "--perplexity through a key/value cache, as in generation, of this type: auto "
                     "(the model's own) or int8");
  command.add_flag("--json", options->json, "One JSON object on stdout");
  command.footer(
      "\"nll\" is the sum over the predicted tokens, in nats; perplexity is exp(nll / tokens).\n"
      "perplexity_per_byte, exp(nll / bytes), compares models with different tokenizers.\n"
      "Example:\n  tigerbot eval smollm2-135m-instruct --perplexity book.txt --stride 512\n"
      "  tigerbot eval smollm2-135m-instruct --next-token rows.jsonl");
  CLI::App& convert =
      *command.add_subcommand("convert", "Turn benchmark files into rows for --next-token");
  convert.add_option("FILES", options->benchmarks, "Benchmark files in their own form")->required();
  convert.add_option("--output", options->output, "The file of rows")->required();
  convert.footer(
      "Example:\n  tigerbot eval convert arc_easy.jsonl squad2_dev.json --output rows.jsonl");
  add_eval_compare_command(command);
  const CLI::App& compare = *command.get_subcommand("compare");
  command.get_option("MODEL")->required(false);
  command.callback([options, &convert, &compare] {
    if (compare.parsed()) return;
    if (!convert.parsed()) {
      run(*options);
      return;
    }
    const std::int64_t rows = convert_benchmarks(
        {options->benchmarks.begin(), options->benchmarks.end()}, options->output);
    std::printf("%lld rows\n", static_cast<long long>(rows));
  });
}

}  // namespace tigerbot
