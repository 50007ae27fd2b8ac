#include "quant/quantize_model.h"

#include <chrono>
#include <set>
#include <utility>

#include "base/error.h"
#include "base/files.h"
#include "base/logging.h"
#include "base/progress.h"
#include "base/text.h"
#include "infer/language_model.h"
#include "quant/block_quantizer.h"
#include "quant/layered_model.h"
#include "quant/report_page.h"
#include "train/export.h"
#include "weights/convert.h"
#include "weights/safetensors.h"

namespace tigerbot::quant {
namespace {

using OrderedJson = nlohmann::ordered_json;

constexpr std::uint64_t kShardBytes = 5'000'000'000;

void check_options(const QuantizeOptions& options) {
  check_grid(options.gptq.grid);
  if (options.method == Method::kW8A16 && options.gptq.grid.bits != 8) {
    fail("--bits {}: w8a16 means 8-bit weights", options.gptq.grid.bits);
  }
}

/// The widths of every layer, before the first one takes time.
void check_layers(LayeredModel& model, const GridOptions& grid) {
  for (const Linear* linear : model.linears()) {
    if (linear->in_features() % 32 != 0 || linear->out_features() % 32 != 0) {
      fail("{}: {} by {} features; the GPTQ format packs multiples of 32", linear->name(),
           linear->out_features(), linear->in_features());
    }
    check_width(grid, linear->name(), linear->in_features());
  }
}

void check_source(const ModelFiles& files, const QuantizeOptions& options) {
  const std::string where = files.path.string();
  if (files.config.family == ModelConfig::Family::kBert && options.measure) {
    fail(
        "{}: an encoder ({}) predicts no next token; leave out --evaluate and --measure-speed, and "
        "compare what `tigerbot embed` gives",
        where, files.config.model_type);
  }
  if (!options.adapter.empty()) return;  // merged weights lie on no grid
  if (files.gptq) {
    fail("{}: is quantized already, to {} bits; quantize the model that it was made from", where,
         files.gptq->bits);
  }
  for (const StoredTensor& tensor : files.tensors->tensors()) {
    if (!tensor.quantized) continue;
    log_warning(
        "{}: is stored in {}, so that its weights lie on a grid already: quantizing it again says "
        "little about quantizing what it was made from",
        where, tensor.type);
    return;
  }
}

/// Adds `quantization_config` to a config.json.
void amend_config(const std::filesystem::path& file, const Json& quantization) {
  OrderedJson config = OrderedJson::parse(read_file(file));
  config["quantization_config"] = quantization;
  write_file(file, config.dump(2) + "\n");
}

TensorToWrite writable(const std::string& name, const at::Tensor& tensor) {
  return {name, tensor.sizes().vec(), tensor.scalar_type(), [tensor] { return tensor; }};
}

struct Sizes {
  std::uint64_t dense_before = 0;  ///< of the quantized layers, in the model's 16 or 32 bits
  std::uint64_t quantized = 0;     ///< of the same layers now
  std::uint64_t others = 0;        ///< of all that is not quantized
};

OrderedJson layer_json(const QuantizedLayer& layer) {
  OrderedJson json = {{"name", layer.name},
                      {"out_features", layer.out_features},
                      {"in_features", layer.in_features},
                      {"bytes", layer.bytes()},
                      {"error", layer.error}};
  if (layer.round_to_nearest_error) json["round_to_nearest_error"] = *layer.round_to_nearest_error;
  return json;
}

OrderedJson options_json(const QuantizeOptions& options, const CalibrationSet& calibration) {
  const GridOptions& grid = options.gptq.grid;
  OrderedJson json = {{"method", method_name(options.method)},
                      {"bits", grid.bits},
                      {"group_size", grid.group_size},
                      {"symmetric", grid.symmetric}};
  if (options.method != Method::kGptq) return json;
  json["act_order"] = options.gptq.order == ColumnOrder::kActivations;
  json["damping"] = options.gptq.damping;
  json["seed"] = options.calibration.seed;
  OrderedJson languages = OrderedJson::object();
  for (const auto& [language, count] : calibration.languages) {
    languages[language.empty() ? "unknown" : language] = count;
  }
  json["calibration"] = {{"samples", calibration.sequences.size()},
                         {"context", calibration.sequences.front().size()},
                         {"samples_by_language", languages},
                         {"conversations", calibration.conversations}};
  return json;
}

}  // namespace

Method parse_method(const std::string& name) {
  for (const Method method : {Method::kGptq, Method::kRoundToNearest, Method::kW8A16}) {
    if (name == method_name(method)) return method;
  }
  fail("--method: {} is not one of gptq, round-to-nearest, w8a16", quote(name));
}

std::string method_name(Method method) {
  switch (method) {
    case Method::kGptq:
      return "gptq";
    case Method::kRoundToNearest:
      return "round-to-nearest";
    case Method::kW8A16:
      return "w8a16";
  }
  fail_internal("no such method");
}

int output_bits_of(const ModelConfig& config, const QuantizeOptions& options) {
  constexpr std::int64_t kGroup = 32;       // of Q8_0
  constexpr std::int64_t kLarge = 1 << 23;  // weights
  if (config.family == ModelConfig::Family::kBert) {
    if (options.output_bits == 8) fail("--output-bits 8: an encoder has no output layer");
    return 16;
  }
  const bool fits = config.hidden_size % kGroup == 0;
  if (options.output_bits == 8 && !fits) {
    fail("--output-bits 8: rows of {}; a multiple of {} is needed", config.hidden_size, kGroup);
  }
  const bool large = config.vocab_size * config.hidden_size >= kLarge;
  return options.output_bits.value_or(config.tie_word_embeddings && large && fits ? 8 : 16);
}

OrderedJson quantize_model(const std::filesystem::path& source,
                           const std::filesystem::path& destination,
                           const QuantizeOptions& options) {
  const auto start = std::chrono::steady_clock::now();
  check_options(options);
  if (std::filesystem::exists(destination)) {
    fail("{}: is there already; choose another name or remove it", destination.string());
  }
  const ModelFiles files = open_model(source);
  check_source(files, options);
  const at::ScalarType dtype = default_dtype(files);
  const std::unique_ptr<LayeredModel> model = make_empty_model(files.config);
  check_layers(*model, options.gptq.grid);
  const int output_bits = output_bits_of(files.config, options);
  CalibrationSet calibration;
  if (options.method == Method::kGptq) {
    if (const std::int64_t limit = context_length(files.config);
        limit > 0 && options.calibration.context > limit) {
      fail("--context {}: the model's context is {}", options.calibration.context, limit);
    }
    const std::unique_ptr<Tokenizer> tokenizer = files.load_tokenizer();
    SequenceFrame frame;
    if (files.config.family == ModelConfig::Family::kBert) frame = frame_of(*tokenizer);
    calibration = read_calibration(options.calibration, *tokenizer,
                                   {files.chat_template, files.bos_token, files.eos_token}, frame);
  }

  AtomicFolder folder(destination);
  write_companions(files, folder.path(), dtype);
  std::set<std::string> quantized_names;
  for (const Linear* linear : model->linears()) {
    quantized_names.insert(linear->name() + ".weight");
  }
  std::vector<TensorToWrite> tensors;
  Sizes sizes;
  const TensorSource weights =
      options.adapter.empty() ? files.source(dtype) : train::merged_source(files, options.adapter);
  const auto element = static_cast<std::uint64_t>(c10::elementSize(dtype));
  for (const Parameter& parameter : model->parameters()) {
    const auto bytes = static_cast<std::uint64_t>(element_count(parameter.shape)) * element;
    if (quantized_names.contains(parameter.name)) {
      sizes.dense_before += bytes;
      continue;
    }
    sizes.others += bytes;
    tensors.push_back({parameter.name, parameter.shape, dtype,
                       [weights, dtype, name = parameter.name, shape = parameter.shape] {
                         return weights(name, shape).to(dtype).contiguous();
                       }});
  }
  BlockQuantizer quantizer(*model, weights, dtype, options, calibration);
  Progress progress("quantize", quantized_names.size(), {.unit_name = "layers"});
  OrderedJson layers = OrderedJson::array();
  double error = 0;
  double baseline = 0;
  for (std::int64_t block = 0; block < files.config.num_hidden_layers; ++block) {
    quantizer.next([&](const QuantizedLayer& layer) {
      tensors.push_back(writable(layer.name + ".qweight", layer.tensors.qweight));
      tensors.push_back(writable(layer.name + ".qzeros", layer.tensors.qzeros));
      tensors.push_back(writable(layer.name + ".scales", layer.tensors.scales));
      tensors.push_back(writable(layer.name + ".g_idx", layer.tensors.g_idx));
      sizes.quantized += layer.bytes();
      layers.push_back(layer_json(layer));
      error += layer.error;
      baseline += layer.round_to_nearest_error.value_or(layer.error);
      progress.set_note(fmt::format("{} error {:.5f}", layer.name, layer.error));
      progress.advance();
    });
  }
  progress.finish();
  write_safetensors_folder(folder.path(), tensors, kShardBytes);
  GptqConfig format;
  format.bits = options.gptq.grid.bits;
  format.group_size = options.gptq.grid.group_size;
  format.symmetric = options.gptq.grid.symmetric;
  format.zeros_less_one = options.zeros_less_one;
  format.desc_act =
      options.method == Method::kGptq && options.gptq.order == ColumnOrder::kActivations;
  format.damp_percent = options.gptq.damping;
  format.output_bits = output_bits;
  const Json quantization = gptq_config_json(format);
  amend_config(folder.path() / "config.json", quantization);
  write_file(folder.path() / "quantize_config.json", quantization.dump(2) + "\n");

  const auto count = static_cast<double>(layers.size());
  OrderedJson report = options_json(options, calibration);
  report["output_bits"] = output_bits;
  report["mean_error"] = error / count;
  if (options.method == Method::kGptq) report["mean_round_to_nearest_error"] = baseline / count;
  report["bytes"] = {{"layers_before", sizes.dense_before},
                     {"layers_after", sizes.quantized},
                     {"embedding_output_norms", sizes.others},
                     {"model_before", sizes.dense_before + sizes.others},
                     {"model_after", sizes.quantized + sizes.others}};
  report["seconds"] =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  report["layers"] = std::move(layers);
  if (options.measure) {
    report["effect"] = OrderedJson::parse(options.measure(source, folder.path()).dump());
  }
  write_file(folder.path() / "quantization_report.json", report.dump(2) + "\n");
  write_file(folder.path() / "quantization_report.html",
             report_page(report, destination.filename().string()));
  folder.commit();
  return report;
}

OrderedJson quantize_to_gguf(const std::filesystem::path& source,
                             const std::filesystem::path& destination,
                             const QuantizeOptions& options) {
  if (options.method == Method::kGptq && options.gptq.order == ColumnOrder::kActivations) {
    fail("--act-order: GGUF has no place for groups out of order; leave it out");
  }
  if (!options.zeros_less_one) {
    fail("--checkpoint-format: a GGUF file has no version of the GPTQ format; leave it out");
  }
  if (options.output_bits) {
    fail("--output-bits: embedding and output layer of a GGUF file are Q8_0; leave it out");
  }
  if (options.gptq.grid.bits == 8 && !options.gptq.grid.symmetric) {
    fail("--bits 8: GGUF's Q8_0 has its zero in the middle of the codes; give --symmetric");
  }
  const auto beside = [&](const char* end) {
    auto file = destination;
    return file.replace_extension(end);
  };
  for (const auto& file :
       {destination, beside(".quantization_report.json"), beside(".quantization_report.html")}) {
    if (std::filesystem::exists(file)) {
      fail("{}: is there already; choose another name or remove it", file.string());
    }
  }
  // Never committed: what was in the GPTQ format goes away.
  const AtomicFolder work(destination.string() + ".gptq");
  const auto model = work.path() / destination.stem();
  OrderedJson report = quantize_model(source, model, options);
  ConvertOptions convert;
  convert.to = ConvertOptions::Format::kGguf;
  convert_model(model, destination, convert);
  report["bytes"]["gguf"] = size_of_file(destination);
  write_file(beside(".quantization_report.json"), report.dump(2) + "\n");
  write_file(beside(".quantization_report.html"),
             report_page(report, destination.filename().string()));
  return report;
}

}  // namespace tigerbot::quant
