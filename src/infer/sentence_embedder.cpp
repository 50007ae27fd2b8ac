#include "infer/sentence_embedder.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>

#include <algorithm>
#include <chrono>
#include <numeric>

#include "base/error.h"
#include "base/files.h"
#include "base/json.h"
#include "base/progress.h"
#include "base/text.h"
#include "infer/language_model.h"

namespace tigerbot {

SentenceEmbedder::SentenceEmbedder(const std::filesystem::path& path,
                                   std::optional<at::ScalarType> dtype, at::Device device)
    : files_(open_model(path)), device_(device) {
  if (files_.config.family != ModelConfig::Family::kBert) {
    fail("{}: sentence vectors need an encoder (BERT), not {}", path.string(),
         files_.config.model_type);
  }
  if (files_.sentence && files_.sentence->pooling != "mean") {
    fail("{}: pooling \"{}\" is not supported, only \"mean\"", path.string(),
         files_.sentence->pooling);
  }
  const at::ScalarType type = dtype.value_or(default_dtype(files_));
  encoder_ = make_bert_encoder(files_.config, files_.source(type), type, device,
                               files_.quantized_source());
  tokenizer_ = files_.load_tokenizer();
  max_tokens_ = files_.config.max_position_embeddings;
  if (files_.sentence && files_.sentence->max_tokens > 0) {
    max_tokens_ = std::min(max_tokens_, files_.sentence->max_tokens);
  }
}

std::vector<TokenId> SentenceEmbedder::encode(const std::string& text) const {
  return tokenizer_->encode(text, {.add_special_tokens = true, .parse_special_tokens = false});
}

at::Tensor SentenceEmbedder::embed(std::span<const std::string> texts) {
  std::vector<std::vector<TokenId>> encoded;
  encoded.reserve(texts.size());
  for (const std::string& text : texts) {
    std::vector<TokenId>& ids = encoded.emplace_back(encode(text));
    if (static_cast<std::int64_t>(ids.size()) <= max_tokens_) continue;
    // The mark of the end stays the last token.
    const TokenId last = ids.back();
    ids.resize(static_cast<std::size_t>(max_tokens_));
    ids.back() = last;
    ++truncated_;
  }
  return embed_tokens(encoded);
}

at::Tensor SentenceEmbedder::embed_tokens(std::span<const std::vector<TokenId>> texts) {
  const at::NoGradGuard no_grad;
  // About so many tokens at a time keep activations in the processor's cache.
  constexpr std::int64_t kTokensAtOnce = 4096;
  std::vector<at::Tensor> parts;
  std::vector<TokenId> ids;
  std::vector<std::int64_t> lengths;
  const auto flush = [&] {
    if (lengths.empty()) return;
    const at::Tensor tensor = at::empty({static_cast<std::int64_t>(ids.size())}, at::kInt);
    std::copy(ids.begin(), ids.end(), tensor.data_ptr<std::int32_t>());
    parts.push_back(
        sentence_embeddings(*encoder_, tensor.to(device_), make_sequences(lengths, device_))
            .to(at::kCPU));
    ids.clear();
    lengths.clear();
  };
  for (const std::vector<TokenId>& text : texts) {
    if (!ids.empty() && static_cast<std::int64_t>(ids.size() + text.size()) > kTokensAtOnce) {
      flush();
    }
    ids.insert(ids.end(), text.begin(), text.end());
    lengths.push_back(static_cast<std::int64_t>(text.size()));
  }
  flush();
  if (parts.empty()) return at::empty({0, dimension()}, at::kFloat);
  return at::cat(parts).to(at::kFloat).contiguous();
}

EmbedResult embed_file(SentenceEmbedder& embedder, const std::filesystem::path& input,
                       const std::filesystem::path& output) {
  const std::string bytes = read_file(input);
  std::vector<nlohmann::ordered_json> rows;
  std::vector<std::string> texts;
  std::size_t number = 0;
  for (const std::string_view line : split(bytes, '\n')) {
    ++number;
    if (trim(line).empty()) continue;
    const std::string place = fmt::format("{}:{}", input.string(), number);
    parse_json(line, place);
    rows.push_back(nlohmann::ordered_json::parse(line));
    if (!rows.back().is_object() || !rows.back().contains("text") ||
        !rows.back()["text"].is_string()) {
      fail("{}: a row must be an object with a string \"text\"", place);
    }
    texts.push_back(rows.back()["text"].get<std::string>());
  }
  AtomicFile file(output);
  const auto start = std::chrono::steady_clock::now();
  Progress progress("embed", texts.size(), {.unit_name = "texts"});
  constexpr std::size_t kTextsAtOnce = 256;
  for (std::size_t begin = 0; begin < texts.size(); begin += kTextsAtOnce) {
    const std::size_t count = std::min(kTextsAtOnce, texts.size() - begin);
    const at::Tensor vectors = embedder.embed(std::span(texts).subspan(begin, count));
    const float* values = vectors.data_ptr<float>();
    for (std::size_t i = 0; i < count; ++i) {
      const float* row = values + i * static_cast<std::size_t>(vectors.size(1));
      rows[begin + i]["embedding"] = std::vector<float>(row, row + vectors.size(1));
      file.write(rows[begin + i].dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
      file.write("\n");
    }
    progress.advance(count);
  }
  progress.finish();
  file.commit();
  EmbedResult result;
  result.texts = static_cast<std::int64_t>(texts.size());
  result.truncated = embedder.truncated();
  result.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return result;
}

}  // namespace tigerbot
