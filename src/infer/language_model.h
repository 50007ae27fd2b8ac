#pragma once

#include <ATen/core/Tensor.h>

#include <filesystem>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "infer/constraint/constraint_compiler.h"
#include "infer/engine.h"
#include "infer/sampling.h"
#include "model/decoder.h"
#include "tokenizer/chat_template.h"
#include "tokenizer/tokenizer.h"
#include "weights/model_files.h"

namespace tigerbot {

/// One turn of a conversation.
struct ChatMessage {
  std::string role;
  std::string content;
};

/// A decoder ready to answer: its files, weights, tokenizer and template together.
class LanguageModel {
 public:
  /// Opens a Hugging Face directory or a GGUF file. `dtype`: nothing for the model's own (bfloat16
  /// for quantized and float16 weights).
  LanguageModel(const std::filesystem::path& path, std::optional<at::ScalarType> dtype,
                at::Device device);

  const ModelFiles& files() const { return files_; }
  Decoder& decoder() { return *decoder_; }
  const Tokenizer& tokenizer() const { return *tokenizer_; }
  at::ScalarType dtype() const { return dtype_; }

  /// The ids of a conversation through the model's template, ready for the answer. A model without
  /// a template (a base model) is an Error that says to use --raw.
  std::vector<TokenId> encode_chat(const nlohmann::ordered_json& messages) const;

  /// The ids of plain text, with the special tokens that the model's tokenizer adds.
  std::vector<TokenId> encode_text(const std::string& text) const;

  /// An Error if conversations cannot be written for this model.
  const ChatTemplate& chat_template() const;

  /// The tokens that end an answer.
  const std::vector<std::int64_t>& stop_token_ids() const { return stop_token_ids_; }

  /// Makes constraints for this model's tokens; made when first asked for. Safe from many threads.
  ConstraintCompiler& constraints();

  /// What the model's generation_config.json asks for, greedy where it is silent.
  SamplingOptions default_sampling() const;

 private:
  ModelFiles files_;
  at::ScalarType dtype_;
  std::unique_ptr<Decoder> decoder_;
  std::unique_ptr<Tokenizer> tokenizer_;
  std::optional<ChatTemplate> chat_template_;
  std::string template_error_;  // why the files' template could not be read
  std::vector<std::int64_t> stop_token_ids_;
  std::mutex constraints_mutex_;
  std::unique_ptr<ConstraintCompiler> constraints_;
};

/// Messages as templates read them.
nlohmann::ordered_json messages_json(const std::vector<ChatMessage>& messages);

/// The type that `--dtype` names: "bfloat16", "float32"; nothing for "auto".
std::optional<at::ScalarType> parse_dtype(const std::string& name);

/// The type to run a model in whose file holds this one.
at::ScalarType default_dtype(const ModelFiles& files);

}  // namespace tigerbot
