#include <ATen/core/Tensor.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "base/files.h"
#include "weights/model_files.h"

namespace tigerbot {
namespace {

// The published models are there only on a machine that has pulled them.
std::filesystem::path cached(const char* name) { return cache_folder() / "models" / name; }

TEST(OpenModel, ReadsTheShippedSmolLm2) {
  const auto folder = cached("smollm2-135m-instruct");
  if (!std::filesystem::exists(folder)) GTEST_SKIP() << "run: tigerbot pull smollm2-135m-instruct";
  const ModelFiles files = open_model(folder);
  EXPECT_EQ(files.format, "GGUF v3");
  EXPECT_EQ(files.config.model_type, "llama");
  EXPECT_EQ(files.config.num_hidden_layers, 30);
  EXPECT_EQ(files.config.hidden_size, 576);
  EXPECT_EQ(files.config.num_key_value_heads, 3);
  EXPECT_EQ(files.config.vocab_size, 49152);
  EXPECT_EQ(files.config.rope_theta, 100000.0);
  EXPECT_EQ(files.config.norm_eps, 1e-5);
  EXPECT_TRUE(files.config.tie_word_embeddings);
  EXPECT_EQ(files.eos_token_ids, std::vector<std::int64_t>{2});
  EXPECT_EQ(files.eos_token, "<|im_end|>");
  EXPECT_NE(files.chat_template.find("<|im_start|>"), std::string::npos);
  const TensorSource source = files.source(at::kBFloat16);
  for (const auto& tensor : files.tensors->tensors()) {
    const at::Tensor values = source(tensor.name, tensor.shape);
    EXPECT_EQ(values.scalar_type(), tensor.quantized ? at::kBFloat16 : at::kFloat) << tensor.name;
  }
  EXPECT_EQ(files.tensors->tensors().size(), 272u);
  EXPECT_THROW(source("model.embed_tokens.weight", {49152, 577}), Error);
  EXPECT_THROW(source("model.layers.30.mlp.up_proj.weight", {1536, 576}), Error);
}

TEST(OpenModel, ReadsTheShippedMiniLm) {
  const auto folder = cached("all-minilm-l6-v2");
  if (!std::filesystem::exists(folder)) GTEST_SKIP() << "run: tigerbot pull all-minilm-l6-v2";
  const ModelFiles files = open_model(folder);
  EXPECT_EQ(files.config.model_type, "bert");
  EXPECT_EQ(files.config.num_hidden_layers, 6);
  ASSERT_TRUE(files.sentence);
  EXPECT_EQ(files.sentence->pooling, "mean");
  EXPECT_TRUE(files.sentence->normalize);
  EXPECT_EQ(files.sentence->max_tokens, 256);
  const at::Tensor words =
      files.source(at::kFloat)("embeddings.word_embeddings.weight", {30522, 384});
  EXPECT_EQ(words.scalar_type(), at::kFloat);
}

TEST(OpenModel, AliasesTheMapAndOutlivesTheStruct) {
  const auto folder = cached("all-minilm-l6-v2");
  if (!std::filesystem::exists(folder)) GTEST_SKIP() << "run: tigerbot pull all-minilm-l6-v2";
  TensorSource source = open_model(folder).source(at::kFloat);
  const std::vector<std::int64_t> shape{30522, 384};
  at::Tensor once = source("embeddings.word_embeddings.weight", shape);
  at::Tensor again = source("embeddings.word_embeddings.weight", shape);
  EXPECT_EQ(once.const_data_ptr(), again.const_data_ptr());
  source = nullptr;
  EXPECT_TRUE(std::isfinite(once.const_data_ptr<float>()[30522 * 384 - 1]));
}

TEST(OpenModel, SaysWhatIsMissing) { EXPECT_THROW(open_model("/nonexistent/model"), Error); }

}  // namespace
}  // namespace tigerbot
