#include <gtest/gtest.h>

#include "base/error.h"
#include "infer/engine.h"
#include "infer/run_engine.h"
#include "infer/tiny_model.h"

namespace tigerbot {
namespace {

GenerationRequest request_of(std::int64_t prompt_tokens, std::int64_t max_new_tokens) {
  GenerationRequest request;
  for (std::int64_t i = 0; i < prompt_tokens; ++i) {
    request.prompt.push_back(static_cast<TokenId>((i * i + 7 * i) % 97));
  }
  request.max_new_tokens = max_new_tokens;
  return request;
}

class RotaryScaling : public testing::TestWithParam<RopeScaling::Kind> {
 protected:
  EngineOptions options() const {
    EngineOptions options;
    options.rope_scaling = GetParam();
    return options;
  }
  std::unique_ptr<Decoder> decoder_ = tiny_decoder();
  CharacterTokenizer tokenizer_;
};

TEST_P(RotaryScaling, ChangesNothingWithinTheTrainedLength) {
  const GenerationRequest request = request_of(100, 28);
  const Told plain = run_engine(*decoder_, tokenizer_, {request}).front();
  const Told scaled = run_engine(*decoder_, tokenizer_, {request}, options()).front();
  EXPECT_EQ(scaled.logits, plain.logits);
}

TEST_P(RotaryScaling, DependsOnPromptAndLongestAnswerTogether) {
  // The same prompt under another limit is another request: the angles of its first token differ.
  const Told shorter = run_engine(*decoder_, tokenizer_, {request_of(100, 28)}, options()).front();
  const Told longer = run_engine(*decoder_, tokenizer_, {request_of(100, 300)}, options()).front();
  EXPECT_NE(shorter.logits.front(), longer.logits.front());
  EXPECT_EQ(longer.tokens.size(), 300U);
}

TEST_P(RotaryScaling, RequestsOfDifferentScaleShareABatch) {
  const std::vector<GenerationRequest> requests = {request_of(60, 20), request_of(100, 200),
                                                   request_of(300, 50), request_of(300, 60),
                                                   request_of(100, 20)};
  std::vector<EngineOptions> ways(3, options());
  ways[1].prefill_chunk = 13;
  ways[2].block_size = 8;
  ways[2].cache_tokens = 400;  // some are put off
  for (const EngineOptions& way : ways) {
    const std::vector<Told> together = run_engine(*decoder_, tokenizer_, requests, way);
    for (std::size_t i = 0; i < requests.size(); ++i) {
      const Told alone = run_engine(*decoder_, tokenizer_, {requests[i]}, options()).front();
      EXPECT_EQ(together[i].tokens, alone.tokens) << i;
      EXPECT_EQ(together[i].logits, alone.logits) << i;
    }
  }
}

TEST_P(RotaryScaling, EndsAtItsFactor) {
  const Engine engine(*decoder_, tokenizer_, options());
  EXPECT_EQ(engine.context(), 8 * 128);
  EXPECT_THROW(engine.check(request_of(1024, 1)), Error);
  EXPECT_NO_THROW(engine.check(request_of(1023, 1)));
}

INSTANTIATE_TEST_SUITE_P(Kinds, RotaryScaling,
                         testing::Values(RopeScaling::Kind::kLinear, RopeScaling::Kind::kDynamic,
                                         RopeScaling::Kind::kYarn));

TEST(RotaryScale, OfAModelThatScalesItselfDoesNotGrowWithTheAnswer) {
  ModelConfig config = tiny_config();
  config.rope_scaling.kind = RopeScaling::Kind::kDynamic;
  config.rope_scaling.factor = 4;
  config.max_position_embeddings = 64;
  const RopeFrequencies frequencies = scaled_frequencies(config, {.length = 100});
  EXPECT_TRUE(frequencies.inverse.equal(rope_frequencies(config, 100).inverse));
  EXPECT_FALSE(frequencies.inverse.equal(rope_frequencies(config, 64).inverse));
}

TEST(RotaryScale, EqualsTheConfigsOwnScaling) {
  const ModelConfig config = tiny_config();
  for (const auto kind :
       {RopeScaling::Kind::kLinear, RopeScaling::Kind::kDynamic, RopeScaling::Kind::kYarn}) {
    ModelConfig scaled = config;
    scaled.rope_scaling.kind = kind;
    scaled.rope_scaling.factor = kind == RopeScaling::Kind::kDynamic ? 8 : 2.5;
    scaled.rope_scaling.original_max_position_embeddings = 128;
    const RopeFrequencies ours = scaled_frequencies(config, {kind, 8, 320});
    const RopeFrequencies expected = rope_frequencies(scaled, 320);
    EXPECT_TRUE(ours.inverse.equal(expected.inverse));
    EXPECT_EQ(ours.attention_factor, expected.attention_factor);
  }
}

TEST(RotaryScale, IsRefusedWhereTheModelHasNone) {
  const CharacterTokenizer tokenizer;
  EngineOptions options;
  options.rope_scaling = RopeScaling::Kind::kYarn;
  const auto bloom = tiny_decoder(tiny_bloom_config());
  EXPECT_THROW(Engine(*bloom, tokenizer, options), Error);
  options.rope_factor = 0.5;
  const auto llama = tiny_decoder();
  EXPECT_THROW(Engine(*llama, tokenizer, options), Error);
}

}  // namespace
}  // namespace tigerbot
