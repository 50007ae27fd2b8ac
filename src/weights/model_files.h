#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "model/config.h"
#include "model/parameters.h"
#include "tokenizer/tokenizer.h"
#include "weights/gguf_tensors.h"
#include "weights/gptq_format.h"
#include "weights/tensor_set.h"

namespace tigerbot {

/// What generation_config.json asks for; nothing where it is silent.
struct GenerationDefaults {
  std::optional<bool> do_sample;
  std::optional<double> temperature;
  std::optional<std::int64_t> top_k;
  std::optional<double> top_p;
  std::optional<double> min_p;
  std::optional<double> repetition_penalty;
  std::optional<std::int64_t> max_new_tokens;
};

/// How a sentence-transformers model makes one vector of a text (modules.json).
struct SentenceEmbedding {
  std::string pooling = "mean";  ///< "mean", "cls" or "max"
  bool normalize = false;
  std::int64_t max_tokens = 0;  ///< special tokens included; 0: the model's own limit
};

/// A model's files, opened: everything but the model itself.
struct ModelFiles {
  std::filesystem::path path;  ///< the directory or the .gguf file
  std::string format;          ///< for people: "Hugging Face directory", "GGUF v3"
  ModelConfig config;
  std::shared_ptr<const TensorSet> tensors;

  /// Empty where the model has none.
  std::string chat_template;
  /// The pieces as text, for templates; empty where the model has none.
  std::string bos_token, eos_token, pad_token, unk_token;
  /// Every token that ends an answer.
  std::vector<std::int64_t> eos_token_ids;
  GenerationDefaults generation;
  std::optional<SentenceEmbedding> sentence;

  /// Set for GPTQ models: a Hugging Face directory whose Linears are packed integers.
  std::optional<GptqConfig> gptq;

  /// Set for GGUF.
  std::shared_ptr<const GgufFile> gguf;

  /// Gives the tensors; quantized ones are computed in `quantized_type` on demand, dense ones keep
  /// their stored type and alias the memory map. Stays valid after this struct is gone.
  TensorSource source(at::ScalarType quantized_type) const;

  /// Gives the weights that run as they are quantized (those of GPTQ models).
  QuantizedSource quantized_source() const;

  /// Reads the tokenizer, with the ids of its roles. An Error if there is none.
  std::unique_ptr<Tokenizer> load_tokenizer() const;
};

/// Opens a Hugging Face directory, a .gguf file, or a directory that holds one .gguf file. Reads
/// headers and configurations only; weights stay where they are until source() is asked for them.
ModelFiles open_model(const std::filesystem::path& path);

/// The metadata of a GGUF file that describe its tokenizer.
GgufTokenizer read_gguf_tokenizer(const GgufFile& file);

}  // namespace tigerbot
