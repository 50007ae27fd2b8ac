#include <ATen/Parallel.h>

#include <CLI/App.hpp>
#include <cstdio>
#include <memory>

#include "base/error.h"
#include "base/files.h"
#include "base/text.h"
#include "cli/commands.h"
#include "cli/options.h"
#include "eval/comparison.h"
#include "weights/hub/models.h"

namespace tigerbot {
namespace {

struct CompareOptions {
  std::vector<std::string> models, against;
  std::string prompts, output;
  ComparisonOptions comparison;
  int threads = 0;
  bool json = false;
};

std::pair<std::string, std::string> two_parts(const std::string& text, const char* option) {
  const std::size_t equals = text.find('=');
  if (equals == std::string::npos || equals == 0 || equals + 1 == text.size()) {
    fail("{} {}: write NAME=VALUE", option, quote(text));
  }
  return {text.substr(0, equals), text.substr(equals + 1)};
}

void run(CompareOptions options) {
  if (options.threads < 0 || options.threads > 1024) fail("--threads must be from 1 to 1024");
  if (options.threads > 0) at::set_num_threads(options.threads);
  std::vector<ComparedModel> models;
  for (const std::string& text : options.models) {
    const auto [name, path] = two_parts(text, "MODELS");
    models.push_back({name, resolve_model(path)});
  }
  for (const std::string& text : options.against) {
    options.comparison.pairs.push_back(two_parts(text, "--against"));
  }
  if (!options.prompts.empty()) {
    const std::string prompts = read_file(options.prompts, 16 << 20);
    for (const std::string_view line : split(prompts, '\n')) {
      if (!trim(line).empty()) options.comparison.prompts.emplace_back(trim(line));
    }
  }
  const Json comparison = compare_models(models, options.comparison);
  if (!options.output.empty()) {
    AtomicFolder folder(options.output);
    write_file(folder.path() / "comparison.json", comparison.dump(1) + "\n");
    write_file(folder.path() / "comparison.html", comparison_page(comparison));
    folder.commit();
  }
  if (options.json) {
    print_json(nlohmann::ordered_json::parse(comparison.dump()));
    return;
  }
  std::printf("%-24s %-8s %14s %12s %10s\n", "model", "language", "perplexity/byte", "chars/token",
              "accuracy");
  for (const Json& model : comparison["models"]) {
    for (const auto& [language, figures] : model["languages"].items()) {
      std::printf("%-24s %-8s %14.4f %12.3f %10.4f\n", model["name"].get<std::string>().c_str(),
                  language.c_str(), figures["perplexity_per_byte"].get<double>(),
                  figures["characters_per_token"].get<double>(),
                  figures["next_token_accuracy"].get<double>());
    }
  }
}

}  // namespace

void add_eval_compare_command(CLI::App& eval) {
  auto options = std::make_shared<CompareOptions>();
  CLI::App& command =
      *eval.add_subcommand("compare", "Models side by side, on the same texts and questions");
  command.add_option("MODELS", options->models, "NAME=MODEL, two or more")->required();
  command
      .add_option("--text", options->comparison.texts,
                  "JSON lines of \"text\" and \"language\": files, folders or globs")
      ->required();
  command.add_option("--bytes", options->comparison.bytes_per_language, "Of text of each language")
      ->capture_default_str();
  command.add_option("--context", options->comparison.context, "Tokens of a window")
      ->capture_default_str();
  command.add_option("--prompts", options->prompts, "A file of questions, one a line");
  command.add_option("--max-new-tokens", options->comparison.max_new_tokens, "Of an answer")
      ->capture_default_str();
  command.add_option("--against", options->against,
                     "A=B: how much higher is A's perplexity than B's");
  command.add_option("--output", options->output, "Folder of comparison.html and comparison.json");
  command.add_option("--threads", options->threads, "Processor threads (default: one a core)");
  command.add_flag("--json", options->json, "One JSON object on stdout");
  command.footer(
      "Example:\n  tigerbot eval compare base=smollm2-135m-instruct tuned=runs/sft/final \\\n"
      "    --text out/validation-*.jsonl.zst --prompts questions.txt --output comparison");
  command.callback([options] { run(*options); });
}

}  // namespace tigerbot
