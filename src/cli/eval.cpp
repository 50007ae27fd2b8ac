#include <CLI/App.hpp>
#include <chrono>
#include <cmath>
#include <cstdio>
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
  bool json = false;
};

void run(EvalOptions options) {
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
  command.add_option("--next-token", options->next_token,
                     "JSON lines of {\"prompt\", \"answer\"}: accuracy over the answers' tokens");
  command.add_option("--max-rows", options->sample.max_rows, "--next-token: rows to sample")
      ->capture_default_str();
  command.add_option("--seed", options->sample.seed, "--next-token: of the sample")
      ->capture_default_str();
  command.add_option("--context", options->windows.context,
                     "Tokens of a window (default: the model's context, at most 2048)");
  command.add_option("--stride", options->windows.stride,
                     "Tokens from one window to the next (default: the context)");
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
  command.get_option("MODEL")->required(false);
  command.callback([options, &convert] {
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
