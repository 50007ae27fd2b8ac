#pragma once

#include <ATen/core/Tensor.h>

#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "model/bert_encoder.h"
#include "tokenizer/tokenizer.h"
#include "weights/model_files.h"

namespace tigerbot {

/// Texts to vectors, with the pooling that the model's files ask for (sentence-transformers).
class SentenceEmbedder {
 public:
  /// `dtype`: nothing for the model's own.
  SentenceEmbedder(const std::filesystem::path& path, std::optional<at::ScalarType> dtype,
                   at::Device device);

  /// float32 [texts, hidden_size] on the CPU, one vector a text, computed together. A text longer
  /// than the model takes is cut, and counted in truncated().
  at::Tensor embed(std::span<const std::string> texts);

  /// The same for texts that are ids already, each of max_tokens() at most.
  at::Tensor embed_tokens(std::span<const std::vector<TokenId>> texts);

  /// The ids of a text as the model takes it, however many.
  std::vector<TokenId> encode(const std::string& text) const;
  std::int64_t max_tokens() const { return max_tokens_; }
  const Tokenizer& tokenizer() const { return *tokenizer_; }

  std::int64_t truncated() const { return truncated_; }
  std::int64_t dimension() const { return files_.config.hidden_size; }
  const ModelFiles& files() const { return files_; }

 private:
  ModelFiles files_;
  std::unique_ptr<BertEncoder> encoder_;
  std::unique_ptr<Tokenizer> tokenizer_;
  at::Device device_;
  std::int64_t max_tokens_;
  std::int64_t truncated_ = 0;
};

struct EmbedResult {
  std::int64_t texts = 0;
  std::int64_t truncated = 0;
  double seconds = 0;
};

/// Embeds every row of a JSON-lines file (`{"text": TEXT}`, other fields kept) and adds
/// `embedding`. A malformed row is an Error that names its line.
EmbedResult embed_file(SentenceEmbedder& embedder, const std::filesystem::path& input,
                       const std::filesystem::path& output);

}  // namespace tigerbot
