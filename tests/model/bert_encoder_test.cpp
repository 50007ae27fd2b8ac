#include "model/bert_encoder.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "model/golden.h"
#include "model/hashed_weights.h"

namespace tigerbot {
namespace {

TEST(BertEncoder, GivesTransformersHiddenStatesAndSentenceVectors) {
  const at::NoGradGuard no_grad;
  for (const Json& row : read_golden("encoders")) {
    SCOPED_TRACE(row.at("name").get<std::string>());
    const auto encoder = make_bert_encoder(golden_config(row), hashed_source(), at::kFloat);
    const GoldenBatch batch = golden_batch(row);
    const at::Tensor hidden = encoder->forward(batch.ids, batch.sequences);
    const at::Tensor vectors = sentence_embeddings(*encoder, batch.ids, batch.sequences);
    for (std::int64_t i = 0; i < batch.sequences.count(); ++i) {
      const Json& sequence = row.at("sequences")[i];
      const at::Tensor last = hidden[batch.sequences.cu_seqlens[i + 1] - 1];
      EXPECT_LT(relative_error(last, tensor_of(sequence.at("hidden")[0].get<std::vector<float>>())),
                1e-5);
      EXPECT_LT(
          relative_error(vectors[i], tensor_of(sequence.at("sentence").get<std::vector<float>>())),
          1e-5);
    }
  }
}

TEST(BertEncoder, StraysInBfloat16NoFurtherThanTransformers) {
  const at::NoGradGuard no_grad;
  for (const Json& row : read_golden("encoders")) {
    SCOPED_TRACE(row.at("name").get<std::string>());
    const ModelConfig config = golden_config(row);
    const GoldenBatch batch = golden_batch(row);
    const at::Tensor exact =
        make_bert_encoder(config, hashed_source(), at::kFloat)->forward(batch.ids, batch.sequences);
    const at::Tensor rounded = make_bert_encoder(config, hashed_source(), at::kBFloat16)
                                   ->forward(batch.ids, batch.sequences);
    const double rms =
        (rounded.to(at::kDouble) - exact.to(at::kDouble)).pow(2).mean().sqrt().item<double>();
    EXPECT_LT(rms, row.at("bfloat16_rms_error").get<double>() * 1.1);
  }
}

TEST(BertEncoder, SentenceVectorsHaveLengthOne) {
  const at::NoGradGuard no_grad;
  const Json row = read_golden("encoders")[0];
  const auto encoder = make_bert_encoder(golden_config(row), hashed_source(), at::kFloat);
  const GoldenBatch batch = golden_batch(row);
  const at::Tensor vectors = sentence_embeddings(*encoder, batch.ids, batch.sequences);
  for (std::int64_t i = 0; i < vectors.size(0); ++i) {
    EXPECT_NEAR(vectors[i].norm().item<double>(), 1.0, 1e-6);
  }
}

TEST(BertEncoder, RefusesWhatItCannotEncode) {
  const Json row = read_golden("encoders")[0];
  const ModelConfig config = golden_config(row);
  const auto encoder = make_bert_encoder(config, hashed_source(), at::kFloat);
  const std::vector<std::int64_t> too_long(
      static_cast<std::size_t>(config.max_position_embeddings + 1), 3);
  EXPECT_THROW(
      encoder->forward(tensor_of(too_long), make_sequences({config.max_position_embeddings + 1})),
      Error);
  EXPECT_THROW(sentence_embeddings(*encoder, tensor_of(std::vector<std::int64_t>{1, 2}),
                                   make_sequences({2, 0})),
               Error);
  EXPECT_THROW(
      make_bert_encoder(golden_config(read_golden("decoders")[0]), hashed_source(), at::kFloat),
      Error);
}

}  // namespace
}  // namespace tigerbot
