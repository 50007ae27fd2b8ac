#include <CLI/App.hpp>
#include <CLI/Validators.hpp>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <optional>
#include <utility>

#include "base/error.h"
#include "base/text.h"
#include "cli/commands.h"
#include "cli/options.h"
#include "eval/quantization_effect.h"
#include "quant/quantize_model.h"

namespace tigerbot {
namespace {

struct Options {
  ModelOptions model;
  std::string destination;
  std::string method = "gptq";
  std::optional<int> bits;
  std::optional<std::int64_t> group_size;
  quant::QuantizeOptions quantize;
  QuantizationEffectOptions effect;
  bool json = false;

  bool to_gguf() const { return std::filesystem::path(destination).extension() == ".gguf"; }
};

quant::QuantizeOptions parse(const Options& options, const CLI::App& command) {
  quant::QuantizeOptions quantize = options.quantize;
  quantize.method = quant::parse_method(options.method);
  const bool w8a16 = quantize.method == quant::Method::kW8A16;
  quantize.gptq.grid.bits = options.bits.value_or(w8a16 ? 8 : 4);
  const bool rows = w8a16 && !options.to_gguf();  // GGUF's types have a scale for 32 weights anyway
  quantize.gptq.grid.group_size = options.group_size.value_or(rows ? -1 : 32);
  if (options.to_gguf() && quantize.gptq.grid.bits == 8) quantize.gptq.grid.symmetric = true;
  if (!options.effect.texts.empty() || options.effect.speed) {
    if (!quantize.adapter.empty()) {
      fail(
          "--adapter: --evaluate and --measure-speed compare with MODEL, which the adapter "
          "changes; "
          "merge first (`tigerbot convert ADAPTER DIR --merge`)");
    }
    quantize.measure = [effect = options.effect](const auto& before, const auto& after) {
      return quantization_effect(before, after, effect);
    };
  }
  if (quantize.method == quant::Method::kGptq) return quantize;
  for (const char* name :
       {"--act-order", "--damping", "--calibration", "--samples", "--context", "--seed"}) {
    if (command.count(name) > 0) fail("{}: {} needs no calibration", name, options.method);
  }
  return quantize;
}

void run(const Options& options, const CLI::App& command) {
  const quant::QuantizeOptions quantize = parse(options, command);
  const auto source = options.model.prepare();
  check_quantization_effect(source, options.effect);
  const auto report = options.to_gguf()
                          ? quant::quantize_to_gguf(source, options.destination, quantize)
                          : quant::quantize_model(source, options.destination, quantize);
  if (options.json) return print_json(report);
  std::printf("%-44s %16s %12s %12s\n", "layer", "features", "error",
              report.contains("mean_round_to_nearest_error") ? "nearest" : "");
  for (const auto& layer : report["layers"]) {
    const std::string nearest =
        layer.contains("round_to_nearest_error")
            ? fmt::format("{:.6f}", layer["round_to_nearest_error"].get<double>())
            : "";
    std::printf("%-44s %16s %12.6f %12s\n", layer["name"].get<std::string>().c_str(),
                fmt::format("{} x {}", layer["out_features"].get<std::int64_t>(),
                            layer["in_features"].get<std::int64_t>())
                    .c_str(),
                layer["error"].get<double>(), nearest.c_str());
  }
  const auto& bytes = report["bytes"];
  const auto size = [&](const char* key) { return format_bytes(bytes[key].get<std::uint64_t>()); };
  std::printf("layers  %s -> %s\nmodel   %s -> %s\ntime    %s\n", size("layers_before").c_str(),
              size("layers_after").c_str(), size("model_before").c_str(),
              size("model_after").c_str(),
              format_duration(report["seconds"].get<double>()).c_str());
  if (!report.contains("effect")) return;
  const auto& effect = report["effect"];
  if (effect.contains("languages")) {
    for (const auto& [language, figures] : effect["languages"].items()) {
      std::printf("%s",
                  fmt::format("{:7} perplexity {:.4f} -> {:.4f}, next-token accuracy {:.4f} -> "
                              "{:.4f}\n",
                              language, figures["before"]["perplexity"].get<double>(),
                              figures["after"]["perplexity"].get<double>(),
                              figures["before"]["next_token_accuracy"].get<double>(),
                              figures["after"]["next_token_accuracy"].get<double>())
                      .c_str());
    }
  }
  if (effect.contains("speed")) {
    for (const auto& [what, key] : {std::pair{"prefill", "prefill_tokens_per_second"},
                                    std::pair{"decode", "decode_tokens_per_second"}}) {
      std::printf("%s", fmt::format("{:7} {:.1f} -> {:.1f} tokens/s\n", what,
                                    effect["speed"]["before"][key].get<double>(),
                                    effect["speed"]["after"][key].get<double>())
                            .c_str());
    }
  }
}

}  // namespace

void add_quantize_command(CLI::App& app) {
  auto options = std::make_shared<Options>();
  CLI::App& command =
      *app.add_subcommand("quantize", "Make a model 4 times smaller: 3, 4 or 8 bits a weight");
  command
      .add_option("MODEL", options->model.model,
                  "A Hugging Face directory, a .gguf file, or a name that `tigerbot pull` knows")
      ->required();
  command
      .add_option("OUT", options->destination,
                  "The directory to write, in the GPTQ format, or a name that ends in .gguf: Q4_0 "
                  "(--symmetric), Q4_1 or Q8_0")
      ->required();
  command
      .add_option("--method", options->method,
                  "gptq (with calibration), round-to-nearest, or w8a16 (8-bit weights, 16-bit "
                  "activations)")
      ->capture_default_str();
  command.add_option("--bits", options->bits, "3, 4 or 8 (default: 4; w8a16: 8)");
  command.add_option("--group-size", options->group_size,
                     "Weights that share a scale: 32, 64, 128, or -1 for the whole row (default: "
                     "32; w8a16: -1)");
  command
      .add_option(
          "--output-bits", options->quantize.output_bits,
          "Of the output layer when the model runs: 8 or 16 (default: 8 where it is a large "
          "embedding too). The file holds it as it was")
      ->check(CLI::IsMember({8, 16}));
  quant::GptqOptions& gptq = options->quantize.gptq;
  quant::CalibrationOptions& calibration = options->quantize.calibration;
  command.add_flag("--symmetric", gptq.grid.symmetric, "The zero in the middle of the codes");
  command
      .add_option_function<std::string>(
          "--checkpoint-format",
          [options](const std::string& name) { options->quantize.zeros_less_one = name == "gptq"; },
          "gptq (default), which AutoGPTQ and transformers read, or gptq_v2, which gptqmodel reads "
          "where the zero is not in the middle")
      ->check(CLI::IsMember({"gptq", "gptq_v2"}));
  command.add_flag_callback(
      "--act-order", [&gptq] { gptq.order = quant::ColumnOrder::kActivations; },
      "Round features in the order of their activations across groups too (a g_idx out of order)");
  command
      .add_option("--damping", gptq.damping,
                  "Added to the Hessian's diagonal, as a share of its mean")
      ->capture_default_str();
  command.add_option("--calibration", calibration.inputs,
                     "Text, JSON lines with \"text\" or of conversations, folders or globs, with "
                     "\"zh=\" before them or not (default: what recipes/fetch_text.py collected)");
  command.add_option("--samples", calibration.samples, "Calibration sequences")
      ->capture_default_str();
  command.add_option("--context", calibration.context, "Tokens of each")->capture_default_str();
  command.add_option("--seed", calibration.seed, "Same seed, same calibration set")
      ->capture_default_str();
  command.add_option(
      "--adapter", options->quantize.adapter,
      "A LoRA adapter (PEFT's directory) that is merged into the weights first; MODEL "
      "may be quantized itself then");
  command.add_option("--evaluate", options->effect.texts,
                     "Texts, as --calibration takes them (not the same ones): the report gives "
                     "perplexity and next-token accuracy by language, before and after");
  command
      .add_option("--evaluation-bytes", options->effect.bytes_per_language,
                  "--evaluate: text of a language")
      ->capture_default_str();
  command
      .add_option("--evaluation-context", options->effect.context, "--evaluate: tokens of a window")
      ->capture_default_str();
  command.add_flag("--measure-speed", options->effect.speed,
                   "The report gives tokens a second, before and after");
  command.add_option("--threads", options->model.threads,
                     "Processor threads (default: one a core)");
  command.add_flag("--json", options->json, "The report as one JSON object on stdout");
  command.footer(
      "Layers of the decoder are quantized; the file holds embedding, output layer and norms as "
      "they\n"
      "were.\n"
      "OUT holds quantization_report.json and .html too (a GGUF file has them beside it). OUT "
      "appears whole or not at all.\n"
      "Example:\n  tigerbot quantize smollm2-hf smollm2-4bit --calibration text/*.jsonl\n"
      "  tigerbot quantize smollm2-hf smollm2.gguf --symmetric --evaluate en=book.txt");
  command.callback([options, &command] { run(*options, command); });
}

}  // namespace tigerbot
