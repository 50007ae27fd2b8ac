#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <string>

#include "base/json.h"
#include "quant/calibration.h"
#include "quant/solver.h"

namespace tigerbot::quant {

enum class Method {
  kGptq,            ///< with a calibration set
  kRoundToNearest,  ///< without: the baseline
  kW8A16,           ///< 8-bit weights, 16-bit activations, without calibration
};

/// "gptq", "round-to-nearest" or "w8a16".
Method parse_method(const std::string& name);
std::string method_name(Method method);

struct QuantizeOptions {
  Method method = Method::kGptq;
  GptqOptions gptq;  ///< the grid is every method's
  CalibrationOptions calibration;
  /// Of the output layer when the model runs: 8 or 16. Not given: 8 where it is the embedding too
  /// and has 2^23 weights or more. The file holds it as it was in either case
  /// (GptqConfig::output_bits).
  std::optional<int> output_bits = {};
  /// The format's first version ("gptq"), which AutoGPTQ reads too, or "gptq_v2".
  bool zeros_less_one = true;
  /// PEFT's directory of an adapter that is added to the weights first; empty: none. MODEL may then
  /// be quantized already: its weights are dequantized.
  std::filesystem::path adapter = {};
  /// Measures both models, the one that was and the one that is, for the report's `effect`.
  std::function<Json(const std::filesystem::path& before, const std::filesystem::path& after)>
      measure = {};
};

/// Quantizes the Linears of the layers of the model at `source`, decoder or encoder, (a Hugging
/// Face directory or GGUF) and writes a Hugging Face directory in the GPTQ format to `destination`,
/// whole or not at all: weights, configuration, tokenizer, and quantization_report.json, which is
/// also the result, with the same as a page beside it. Embedding, output layer, norms and biases
/// stay as they are in the file. Weights are read one block at a time.
nlohmann::ordered_json quantize_model(const std::filesystem::path& source,
                                      const std::filesystem::path& destination,
                                      const QuantizeOptions& options);

/// The same as a GGUF file, in the type that holds the codes as they are: Q4_0 (symmetric), Q4_1 or
/// Q8_0 (8 bits, symmetric). As `convert` does, embedding and output layer become Q8_0. The reports
/// lie beside it as NAME.quantization_report.json and .html.
nlohmann::ordered_json quantize_to_gguf(const std::filesystem::path& source,
                                        const std::filesystem::path& destination,
                                        const QuantizeOptions& options);

}  // namespace tigerbot::quant
