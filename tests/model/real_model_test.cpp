#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/argmax.h>
#include <ATen/ops/from_blob.h>
#include <ATen/ops/logsumexp.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>

#include "base/files.h"
#include "model/bert_encoder.h"
#include "model/decoder.h"
#include "model/golden.h"
#include "model/test_cache.h"
#include "weights/model_files.h"

namespace tigerbot {
namespace {

/// The two default models against transformers. They lie in the cache, put there by
/// `tigerbot pull`; a machine that cannot have them sets TIGERBOT_TEST_WITHOUT_MODELS=1.
class RealModel : public testing::Test {
 protected:
  ModelFiles open(const std::string& name) {
    const std::filesystem::path path = cache_folder() / "models" / name;
    if (!std::filesystem::exists(path)) {
      throw std::runtime_error(path.string() + " is not there; run `tigerbot pull " + name + '`');
    }
    return open_model(path);
  }

  void SetUp() override {
    const char* without = std::getenv("TIGERBOT_TEST_WITHOUT_MODELS");
    if (without && std::string(without) == "1") GTEST_SKIP() << "asked for no real models";
  }

  at::NoGradGuard no_grad_;
};

std::unique_ptr<Decoder> load_decoder(const ModelFiles& files, at::ScalarType dtype) {
  return make_decoder(files.config, files.source(dtype), dtype);
}

at::Tensor half_tensor(const std::string& hex) {
  std::vector<std::uint8_t> bytes;
  for (std::size_t i = 0; i + 1 < hex.size(); i += 2) {
    bytes.push_back(static_cast<std::uint8_t>(std::stoi(hex.substr(i, 2), nullptr, 16)));
  }
  return at::from_blob(bytes.data(), {static_cast<std::int64_t>(bytes.size() / 2)}, at::kHalf)
      .to(at::kDouble);
}

class SmolLm2 : public RealModel {};
class MiniLm : public RealModel {};

TEST_F(SmolLm2, GivesTransformersLogitsInFloat32) {
  const auto decoder = load_decoder(open("smollm2-135m-instruct"), at::kFloat);
  const Json golden = read_golden("smollm2_logits");
  const auto ids = golden.at("ids").get<std::vector<std::int64_t>>();
  const at::Tensor pieces = tensor_of(golden.at("pieces").get<std::vector<std::int64_t>>());
  const at::Tensor hidden =
      decoder->forward(tensor_of(ids), make_sequences({static_cast<std::int64_t>(ids.size())}));
  for (const Json& row : golden.at("rows")) {
    const auto position = row.at("position").get<std::int64_t>();
    const at::Tensor logits = decoder->logits(hidden.slice(0, position, position + 1))[0];
    const at::Tensor expected = tensor_of(row.at("logits").get<std::vector<float>>());
    const double largest = row.at("largest").get<double>();
    const double error =
        (logits.index_select(0, pieces) - expected).abs().max().item<double>() / largest;
    RecordProperty("error_at_" + std::to_string(position), std::to_string(error * 1e6) + "e-6");
    EXPECT_LT(error, 1e-4) << "position " << position;
    EXPECT_NEAR(at::logsumexp(logits.to(at::kDouble), {0}).item<double>(),
                row.at("log_sum_exp").get<double>(), 1e-4 * largest);
  }
}

TEST_F(SmolLm2, StraysInBfloat16NoFurtherThanTransformers) {
  const ModelFiles files = open("smollm2-135m-instruct");
  const Json golden = read_golden("smollm2_logits");
  const auto ids = golden.at("ids").get<std::vector<std::int64_t>>();
  const auto logits = [&](at::ScalarType dtype) {
    const auto decoder = load_decoder(files, dtype);
    return decoder
        ->logits(decoder->forward(tensor_of(ids),
                                  make_sequences({static_cast<std::int64_t>(ids.size())})))
        .to(at::kFloat);
  };
  const at::Tensor error = logits(at::kBFloat16) - logits(at::kFloat);
  const double rms = error.pow(2).mean(at::kDouble).sqrt().item<double>();
  RecordProperty("rms", std::to_string(rms));
  EXPECT_LT(rms, golden.at("bfloat16_rms_error").get<double>());
}

TEST_F(SmolLm2, ContinuesTwentyPromptsAsTransformersDoes) {
  const auto decoder = load_decoder(open("smollm2-135m-instruct"), at::kFloat);
  const Json golden = read_golden("smollm2_greedy");
  ASSERT_EQ(golden.size(), 20u);
  // All prompts at once: one ragged prefill, then one token of each at every step.
  std::vector<std::int64_t> which, lengths, prompt_ids;
  std::int64_t longest = 0;
  for (const Json& row : golden) {
    const auto prompt = row.at("prompt").get<std::vector<std::int64_t>>();
    which.push_back(static_cast<std::int64_t>(which.size()));
    lengths.push_back(static_cast<std::int64_t>(prompt.size()));
    prompt_ids.insert(prompt_ids.end(), prompt.begin(), prompt.end());
    longest = std::max(longest, lengths.back());
  }
  const std::size_t steps = golden[0].at("continuation").size();
  TestCache cache(decoder->config(), static_cast<std::int64_t>(which.size()),
                  longest + static_cast<std::int64_t>(steps), at::kFloat);
  std::vector<std::vector<std::int64_t>> answers(which.size());
  at::Tensor ids = tensor_of(prompt_ids);
  for (std::size_t step = 0; step < steps; ++step) {
    const auto [sequences, step_cache] = cache.step(which, lengths);
    const at::Tensor hidden = decoder->forward(ids, sequences, step_cache);
    std::vector<std::int64_t> last;
    for (std::int64_t i = 0; i < sequences.count(); ++i) {
      last.push_back(sequences.cu_seqlens[static_cast<std::size_t>(i) + 1] - 1);
    }
    ids = decoder->logits(hidden.index_select(0, tensor_of(last))).argmax(1);
    for (std::size_t i = 0; i < answers.size(); ++i) {
      answers[i].push_back(ids[static_cast<std::int64_t>(i)].item<std::int64_t>());
    }
    lengths.assign(which.size(), 1);
  }
  for (std::size_t i = 0; i < answers.size(); ++i) {
    EXPECT_EQ(answers[i], golden[i].at("continuation").get<std::vector<std::int64_t>>())
        << "prompt " << i;
  }
}

TEST_F(MiniLm, GivesTransformersSentenceVectors) {
  const ModelFiles files = open("all-minilm-l6-v2");
  const auto encoder = make_bert_encoder(files.config, files.source(at::kFloat), at::kFloat);
  const Json golden = read_golden("minilm_vectors");
  GoldenBatch batch = golden_batch(Json{{"sequences", golden}});
  const at::Tensor vectors =
      sentence_embeddings(*encoder, batch.ids, batch.sequences).to(at::kDouble);
  double smallest = 1;
  for (std::size_t i = 0; i < golden.size(); ++i) {
    const at::Tensor expected = half_tensor(golden[i].at("float16_hex").get<std::string>());
    const at::Tensor ours = vectors[static_cast<std::int64_t>(i)];
    const double cosine =
        ours.dot(expected).item<double>() / (ours.norm() * expected.norm()).item<double>();
    EXPECT_GT(cosine, 0.99999) << golden[i].at("text");
    smallest = std::min(smallest, cosine);
  }
  RecordProperty("one_minus_smallest_cosine", std::to_string((1 - smallest) * 1e9) + "e-9");
}

}  // namespace
}  // namespace tigerbot
