#include <CLI/App.hpp>
#include <cstdio>
#include <memory>

#include "base/error.h"
#include "cli/commands.h"
#include "cli/options.h"
#include "infer/sentence_embedder.h"

namespace tigerbot {

namespace {

struct EmbedOptions {
  ModelOptions model;
  std::string text;
  std::string input;
  std::string output;
  bool json = false;
};

void run(const EmbedOptions& options) {
  if (options.text.empty() == options.input.empty()) {
    fail("embed needs one of --text TEXT and --input FILE");
  }
  if (!options.input.empty() && options.output.empty()) {
    fail("--input needs --output, the file that takes the vectors");
  }
  if (options.input.empty() && !options.output.empty()) {
    fail("--output goes with --input; the vector of --text comes on stdout");
  }
  SentenceEmbedder embedder(options.model.prepare(), options.model.parsed_dtype(),
                            options.model.parsed_device());
  if (options.input.empty()) {
    const at::Tensor vector = embedder.embed(std::span(&options.text, 1));
    const float* values = vector.data_ptr<float>();
    const std::vector<float> embedding(values, values + vector.numel());
    const nlohmann::json array(embedding);
    std::printf("%s\n",
                (options.json ? nlohmann::json{{"embedding", array}} : array).dump().c_str());
    return;
  }
  const EmbedResult result = embed_file(embedder, options.input, options.output);
  if (options.json) {
    print_json({{"texts", result.texts},
                {"dimension", embedder.dimension()},
                {"truncated", result.truncated},
                {"seconds", result.seconds}});
    return;
  }
  std::fprintf(
      stderr, "%s\n",
      fmt::format("{} texts, {} numbers each, {} cut to the model's length, {:.1f} s -> {}",
                  result.texts, embedder.dimension(), result.truncated, result.seconds,
                  options.output)
          .c_str());
}

}  // namespace

void add_embed_command(CLI::App& app) {
  auto options = std::make_shared<EmbedOptions>();
  CLI::App& command = *app.add_subcommand("embed", "Turn texts into sentence vectors");
  options->model.add(command);
  command.add_option("--text", options->text, "One text; its vector is printed as a JSON array");
  command.add_option("--input", options->input, "JSON lines with \"text\"");
  command.add_option("--output", options->output, "The same lines with \"embedding\" added");
  command.add_flag("--json", options->json, "Report as one JSON object on stdout");
  command.footer("Example:\n  tigerbot embed all-minilm-l6-v2 --text \"How do I list files?\"");
  command.callback([options] { run(*options); });
}

}  // namespace tigerbot
