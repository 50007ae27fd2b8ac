#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <filesystem>
#include <optional>

#include "weights/ggml_types.h"
#include "weights/grow_vocabulary.h"
#include "weights/model_files.h"

namespace tigerbot {

struct ConvertOptions {
  enum class Format { kGguf, kHuggingFace };

  Format to = Format::kHuggingFace;
  /// The type of the matrices; as stored where it is not given (bfloat16 for quantized ones).
  std::optional<at::ScalarType> dtype;
  /// GGUF only: quantize the matrices (Q8_0, Q4_0, Q4_1). As llama.cpp does, the embedding and the
  /// output layer then become Q8_0, norms and biases stay F32, and rows that no block divides F16.
  /// A GPTQ model without either becomes the type that holds its codes as they are.
  std::optional<GgmlType> quantized_type;
  std::uint64_t max_shard_bytes = 5'000'000'000;
  bool overwrite = false;
  /// Grow the vocabulary to another tokenizer's.
  std::optional<GrowOptions> grow;
};

/// Writes the model at `source` (a Hugging Face directory or GGUF) to `destination` (a directory,
/// or a .gguf file): weights, configuration, tokenizer, chat template and generation defaults,
/// under temporary names that become the final ones at the end. An Error if `destination` is there
/// and may not be overwritten.
void convert_model(const std::filesystem::path& source, const std::filesystem::path& destination,
                   const ConvertOptions& options);

/// Writes all of a model but its weights into `folder`, as a Hugging Face directory has it:
/// configuration, tokenizer, chat template, generation defaults. `dtype` as in ConvertOptions.
void write_companions(const ModelFiles& files, const std::filesystem::path& folder,
                      std::optional<at::ScalarType> dtype,
                      const std::optional<GrowOptions>& grow = std::nullopt);

}  // namespace tigerbot
