#include "weights/convert.h"

#include <CLI/App.hpp>
#include <algorithm>
#include <cctype>
#include <charconv>
#include <memory>

#include "base/error.h"
#include "cli/commands.h"
#include "train/checkpoint.h"
#include "train/export.h"
#include "weights/hub/models.h"

namespace tigerbot {
namespace {

at::ScalarType parse_dtype(const std::string& name) {
  if (name == "float32") return at::kFloat;
  if (name == "float16") return at::kHalf;
  if (name == "bfloat16") return at::kBFloat16;
  fail("--dtype {}: float32, bfloat16 and float16 are known", name);
}

GgmlType parse_quantized_type(std::string name) {
  std::ranges::transform(name, name.begin(), [](unsigned char c) { return std::toupper(c); });
  const GgmlTypeInfo* type = find_ggml_type(name);
  if (!type) fail("--type {}: q8_0, q4_0, q4_1, f32, f16 and bf16 are known", name);
  return type->type;
}

// "5GB", "500MB", "1.5GiB"
std::uint64_t parse_size(const std::string& text) {
  double number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  const std::string unit(end, text.data() + text.size());
  const std::pair<const char*, double> units[] = {
      {"B", 1},        {"KB", 1e3},        {"MB", 1e6},          {"GB", 1e9},
      {"KiB", 1024.0}, {"MiB", 1048576.0}, {"GiB", 1073741824.0}};
  for (const auto& [name, factor] : units) {
    if (error == std::errc() && unit == name && number > 0 && number * factor < 1e18) {
      return static_cast<std::uint64_t>(number * factor);
    }
  }
  fail("--max-shard-size {}: give a number and a unit, such as 5GB or 500MB", text);
}

struct Options {
  std::string source;
  std::string destination;
  std::string to;
  std::string dtype;
  std::string type;
  std::string max_shard_size = "5GB";
  bool overwrite = false;
  bool merge = false;
  std::string base;
  std::string tokenizer;
  std::string new_rows = "mean";
  std::int64_t pad_vocabulary_to = 64;
  std::uint64_t seed = 0;
  bool no_output_shift = false;
};

NewRows parse_new_rows(const std::string& name) {
  if (name == "mean") return NewRows::kMean;
  if (name == "weighted") return NewRows::kWeighted;
  if (name == "random") return NewRows::kRandom;
  fail("--new-rows {}: mean, weighted and random are known", name);
}

ConvertOptions parse(const Options& options) {
  ConvertOptions convert;
  const bool gguf_name = std::filesystem::path(options.destination).extension() == ".gguf";
  if (!options.to.empty() && options.to != "gguf" && options.to != "huggingface") {
    fail("--to {}: gguf and huggingface are known", options.to);
  }
  if (options.to == "gguf" && !gguf_name) {
    fail("{}: the name of a GGUF file must end in .gguf", options.destination);
  }
  if (options.to == "gguf" || (options.to.empty() && gguf_name)) {
    convert.to = ConvertOptions::Format::kGguf;
  }
  if (!options.dtype.empty()) convert.dtype = parse_dtype(options.dtype);
  if (!options.type.empty()) convert.quantized_type = parse_quantized_type(options.type);
  if (convert.dtype && convert.quantized_type) {
    fail("--dtype and --type both say what the matrices become; give one of them");
  }
  convert.max_shard_bytes = parse_size(options.max_shard_size);
  convert.overwrite = options.overwrite;
  if (!options.tokenizer.empty()) {
    convert.grow = GrowOptions{.tokenizer = options.tokenizer,
                               .new_rows = parse_new_rows(options.new_rows),
                               .seed = options.seed,
                               .pad_vocabulary_to = options.pad_vocabulary_to,
                               .output_shift = !options.no_output_shift};
  }
  return convert;
}

}  // namespace

void add_convert_command(CLI::App& app) {
  auto options = std::make_shared<Options>();
  CLI::App& command =
      *app.add_subcommand("convert", "Convert between Hugging Face directories and GGUF");
  command
      .add_option(
          "SRC", options->source,
          "A directory, a .gguf file, a fetched model, a training checkpoint, or an adapter")
      ->required();
  command.add_option("DST", options->destination, "A directory, or a name that ends in .gguf")
      ->required();
  command.add_option("--to", options->to, "gguf or huggingface (default: as DST's name says)");
  command.add_option("--dtype", options->dtype,
                     "float32, bfloat16 or float16 (default: as stored)");
  command.add_option("--type", options->type, "GGUF: quantize to q8_0, q4_0 or q4_1");
  command.add_option("--max-shard-size", options->max_shard_size,
                     "Largest safetensors file (default: 5GB)");
  command.add_flag("--overwrite", options->overwrite, "Replace DST if it is there");
  CLI::Option* tokenizer = command.add_option(
      "--tokenizer", options->tokenizer,
      "Grow the vocabulary to this extended tokenizer: a directory with its files");
  command
      .add_option("--new-rows", options->new_rows,
                  "What rows of new pieces start as: mean or weighted (by bytes) of the rows that "
                  "spelled their text, or random")
      ->capture_default_str()
      ->needs(tokenizer);
  command
      .add_option("--pad-vocabulary-to", options->pad_vocabulary_to,
                  "Rows become a multiple of this; the last ones are never generated")
      ->capture_default_str()
      ->needs(tokenizer);
  command
      .add_flag("--no-output-shift", options->no_output_shift,
                "Leave the output rows of new pieces as --new-rows makes them; by default they are "
                "shifted so that text in the old languages is as probable as before")
      ->needs(tokenizer);
  command
      .add_option("--seed", options->seed, "Of random rows and of the samples that fit the shift")
      ->capture_default_str()
      ->needs(tokenizer);
  command.footer(
      "Tokenizer, chat template and configuration go along. DST appears whole or not at all.\n"
      "Example:\n  tigerbot convert smollm2-135m-instruct smollm2-hf --dtype bfloat16\n"
      "  tigerbot convert smollm2-hf smollm2-q8.gguf --type q8_0\n"
      "  tigerbot convert smollm2-hf smollm2-cjk --tokenizer extended-tokenizer");
  CLI::Option* merge = command.add_flag(
      "--merge", options->merge,
      "SRC is an adapter, or a checkpoint of one: write the whole model with it merged, dense");
  command
      .add_option("--base", options->base,
                  "The model that an adapter is merged into (default: the one that its "
                  "adapter_config.json names)")
      ->needs(merge);
  command.callback([options] {
    const ConvertOptions convert = parse(*options);
    const bool checkpoint = train::is_checkpoint(options->source);
    const bool adapter = !checkpoint && train::is_adapter(options->source);
    if (checkpoint || adapter) {
      if (convert.to == ConvertOptions::Format::kGguf || convert.dtype || convert.quantized_type ||
          convert.grow) {
        fail("{}: {} becomes a Hugging Face directory; convert that in turn", options->source,
             checkpoint ? "a training checkpoint" : "an adapter");
      }
      if (adapter && !options->merge) {
        fail("{}: is an adapter; --merge writes its base model with it merged", options->source);
      }
      if (adapter) {
        return train::export_merged(options->source, options->base, options->destination);
      }
      if (!options->base.empty()) {
        fail("--base: a checkpoint is merged into the model that it was trained on");
      }
      return train::export_checkpoint(options->source, options->destination, options->merge);
    }
    if (options->merge) {
      fail("--merge: {} is neither a training checkpoint nor an adapter", options->source);
    }
    const bool here = std::filesystem::exists(options->source);
    convert_model(here ? std::filesystem::path(options->source) : resolve_model(options->source),
                  options->destination, convert);
  });
}

}  // namespace tigerbot
