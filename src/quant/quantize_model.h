#pragma once

#include <filesystem>
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
};

/// Quantizes the Linears of the layers of the decoder at `source` (a Hugging Face directory or
/// GGUF) and writes a Hugging Face directory in the GPTQ format to `destination`, whole or not at
/// all: weights, configuration, tokenizer, and quantization_report.json, which is also the result.
/// Embedding, output layer, norms and biases stay as they are. Weights are read one block at a
/// time.
nlohmann::ordered_json quantize_model(const std::filesystem::path& source,
                                      const std::filesystem::path& destination,
                                      const QuantizeOptions& options);

}  // namespace tigerbot::quant
