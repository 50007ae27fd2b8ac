#include "infer/request.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/mean.h>
#include <ATen/ops/tensor.h>
#include <gtest/gtest.h>

#include <cmath>

#include "base/error.h"
#include "infer/engine.h"
#include "infer/run_engine.h"
#include "infer/tiny_model.h"

namespace tigerbot {
namespace {

class Requests : public testing::Test {
 protected:
  static GenerationRequest request_of(std::string_view prompt, std::int64_t max_new_tokens) {
    GenerationRequest request;
    request.prompt = CharacterTokenizer().encode(prompt);
    request.max_new_tokens = max_new_tokens;
    return request;
  }
  Told answer(const GenerationRequest& request) const {
    return run_engine(*decoder_, tokenizer_, {request}).front();
  }

  std::unique_ptr<Decoder> decoder_ = tiny_decoder();
  CharacterTokenizer tokenizer_;
  Listening listening_;
};

TEST_F(Requests, SeveralAnswersAreThoseOfTheirStreams) {
  GenerationRequest request = request_of("Once upon a time there was", 20);
  request.sampling.temperature = 1.0;
  request.sampling.seed = 5;
  request.n = 5;
  // All together, or some put off at once; copies of blocks that are quantized, too.
  for (const auto& [seats, cache_dtype] :
       {std::pair<std::int64_t, std::optional<at::ScalarType>>(64, {}), {2, {}}, {64, at::kChar}}) {
    Listening listening;
    EngineOptions options;
    options.cache_dtype = cache_dtype;
    const EngineOptions plain = options;
    options.max_sequences = seats;
    options.observer = listening.observer();
    Engine engine(*decoder_, tokenizer_, options);
    const std::int64_t id = engine.submit(request, listening.listener());
    engine.run();
    for (std::int64_t i = 0; i < request.n; ++i) {
      GenerationRequest single = request;
      single.n = 1;
      single.sampling.stream += static_cast<std::uint64_t>(i);
      const Told alone = run_engine(*decoder_, tokenizer_, {single}, plain).front();
      const Told told = listening.answer(id, i);
      EXPECT_EQ(told.tokens, alone.tokens) << i << " of " << seats;
      EXPECT_EQ(told.logits, alone.logits) << i << " of " << seats;
      EXPECT_TRUE(told.last.finished);
    }
    EXPECT_NE(listening.answer(id, 0).tokens, listening.answer(id, 1).tokens);
    const EngineStatistics statistics = engine.statistics();
    EXPECT_EQ(statistics.prompt_tokens, 26);
    EXPECT_EQ(statistics.free_blocks, statistics.num_blocks);
  }
}

TEST_F(Requests, LogProbabilitiesAreTheModelsOwn) {
  GenerationRequest request = request_of("abc", 6);
  request.logprobs = 3;
  request.sampling.logit_bias = {{20, 100.0F}};
  const Told told = answer(request);
  ASSERT_EQ(told.logprobs.size(), 6U);
  for (const TokenLogprobs& token : told.logprobs) {
    EXPECT_EQ(token.token, 20);  // what the bias asked for
    ASSERT_EQ(token.top.size(), 3U);
    EXPECT_GE(token.top[0].second, token.top[1].second);
    EXPECT_GE(token.top[1].second, token.top[2].second);
    EXPECT_LE(token.logprob, token.top[0].second);
  }
  request.sampling.logit_bias.clear();
  request.logprobs = 97;
  for (const TokenLogprobs& token : answer(request).logprobs) {
    EXPECT_EQ(token.token, token.top.front().first);
    EXPECT_EQ(token.logprob, token.top.front().second);
    double sum = 0;
    for (const auto& [id, logprob] : token.top) sum += std::exp(static_cast<double>(logprob));
    EXPECT_NEAR(sum, 1, 1e-5);
  }
}

TEST_F(Requests, ATokenCanBeRuledOut) {
  GenerationRequest request = request_of("abc", 8);
  const TokenId first = answer(request).tokens.front();
  request.sampling.logit_bias = {{first, -100.0F}};
  for (const TokenId token : answer(request).tokens) EXPECT_NE(token, first);
}

/// Allows one text alone.
class OnlyThis : public TokenConstraint {
 public:
  explicit OnlyThis(std::vector<TokenId> tokens) : tokens_(std::move(tokens)) {}
  std::unique_ptr<TokenConstraint> clone() const override {
    return std::make_unique<OnlyThis>(*this);
  }
  void fill(TokenMask& mask) override {
    for (std::uint32_t& word : mask.words()) word = 0;
    if (place_ < tokens_.size() && tokens_[place_] >= 0) mask.allow(tokens_[place_]);
  }
  void accept(TokenId id) override {
    EXPECT_EQ(id, tokens_[place_]);
    ++place_;
  }
  bool finished() const override { return place_ == tokens_.size(); }

 private:
  std::vector<TokenId> tokens_;
  std::size_t place_ = 0;
};

TEST_F(Requests, AConstraintDecidesWhatMayCome) {
  GenerationRequest request = request_of("abc", 50);
  request.constraint = std::make_shared<OnlyThis>(tokenizer_.encode("{\"yes\":1}"));
  request.n = 2;
  for (const double temperature : {0.0, 1.5}) {
    request.sampling.temperature = temperature;
    Listening listening;
    Engine engine(*decoder_, tokenizer_, {});
    const std::int64_t id = engine.submit(request, listening.listener());
    engine.run();
    for (const std::int64_t i : {0, 1}) {
      EXPECT_EQ(listening.answer(id, i).text, "{\"yes\":1}");
      EXPECT_EQ(listening.answer(id, i).last.reason, FinishReason::kStop);
    }
  }
}

TEST_F(Requests, AConstraintThatAllowsNothingEndsItsRequestAlone) {
  GenerationRequest stuck = request_of("abc", 50);
  stuck.constraint = std::make_shared<OnlyThis>(std::vector<TokenId>{1, 2, -1});
  const std::vector<Told> answers =
      run_engine(*decoder_, tokenizer_, {stuck, request_of("abc", 10)});
  EXPECT_EQ(answers[0].last.reason, FinishReason::kError);
  EXPECT_EQ(answers[0].last.error, "no token is allowed here");
  EXPECT_EQ(answers[0].tokens, (std::vector<TokenId>{1, 2}));
  EXPECT_EQ(answers[1].last.reason, FinishReason::kLength);
}

TEST_F(Requests, AnEmbeddingIsTheMeanOrTheLastOfTheHiddenStates) {
  const at::NoGradGuard no_grad;
  GenerationRequest request = request_of("The quick brown fox jumps over the lazy dog", 1);
  const auto tokens = static_cast<std::int64_t>(request.prompt.size());
  const at::Tensor hidden = decoder_->forward(at::tensor(request.prompt), make_sequences({tokens}));
  for (const Pooling pooling : {Pooling::kMean, Pooling::kLast}) {
    request.embedding = pooling;
    const at::Tensor expected = pooling == Pooling::kMean ? hidden.mean(0) : hidden[tokens - 1];
    EngineOptions options;
    std::vector<float> first;
    for (const std::int64_t chunk : {512, 7}) {
      options.prefill_chunk = chunk;
      const Told told = run_engine(*decoder_, tokenizer_, {request}, options).front();
      ASSERT_EQ(told.last.embedding.size(), 48U);
      EXPECT_TRUE(told.tokens.empty());
      for (std::int64_t i = 0; i < 48; ++i) {
        EXPECT_NEAR(told.last.embedding[static_cast<std::size_t>(i)], expected[i].item().toDouble(),
                    1e-4);
      }
      if (first.empty()) first = told.last.embedding;
      EXPECT_EQ(told.last.embedding, first);
    }
  }
}

TEST_F(Requests, EndAtTheirDeadline) {
  auto now = std::chrono::steady_clock::time_point();
  EngineOptions options;
  options.clock = [&now] { return now; };
  options.max_sequences = 1;
  options.max_wait = std::chrono::seconds(10);
  Engine engine(*decoder_, tokenizer_, options);
  GenerationRequest request = request_of("abc", 100);
  request.deadline = now + std::chrono::seconds(60);
  const std::int64_t runs = engine.submit(request, listening_.listener());
  request.n = 2;
  const std::int64_t waits = engine.submit(request, listening_.listener());
  for (int i = 0; i < 5; ++i) engine.step();
  now += std::chrono::seconds(10);
  engine.step();
  for (const std::int64_t i : {0, 1}) {
    EXPECT_EQ(listening_.answer(waits, i).last.reason, FinishReason::kTimeout);
  }
  EXPECT_FALSE(listening_.answer(runs).last.finished);
  now += std::chrono::seconds(50);
  EXPECT_FALSE(engine.step());
  EXPECT_EQ(listening_.answer(runs).last.reason, FinishReason::kTimeout);
  EXPECT_EQ(listening_.answer(runs).tokens.size(), 6U);
  EXPECT_EQ(engine.statistics().timeouts, 3);
}

TEST_F(Requests, AreRefusedWhenTooManyWait) {
  EngineOptions options;
  options.max_waiting = 3;
  options.max_sequences = 1;
  Engine engine(*decoder_, tokenizer_, options);
  const auto submit = [&](std::int64_t n) {
    GenerationRequest request = request_of("abc", 4);
    request.n = n;
    engine.submit(request, listening_.listener());
  };
  submit(2);
  submit(1);
  EXPECT_THROW(submit(1), QueueFullError);
  engine.step();
  submit(1);  // the first runs now, but one of its answers waits
  EXPECT_THROW(submit(1), QueueFullError);
  EXPECT_EQ(engine.statistics().refused, 2);
  engine.run();
  EXPECT_EQ(engine.statistics().finished, 4);
}

TEST_F(Requests, ThatCannotBeRunAreRefused) {
  const Engine engine(*decoder_, tokenizer_, {});
  const auto refused = [&](auto set) {
    GenerationRequest request = request_of("abc", 4);
    set(request);
    EXPECT_THROW(engine.check(request), Error);
  };
  refused([](auto& r) { r.n = 0; });
  refused([](auto& r) { r.logprobs = 98; });
  refused([](auto& r) { r.logprobs = -1; });
  refused([](auto& r) { r.stop = {""}; });
  refused([](auto& r) { r.adapter = "none"; });
  refused([](auto& r) { r.sampling.logit_bias = {{97, 1.0F}}; });
  refused([](auto& r) { r.sampling.logit_bias = {{1, 101.0F}}; });
  refused([](auto& r) { r.sampling.temperature = -1; });
  refused([](auto& r) {
    r.embedding = Pooling::kMean;
    r.n = 2;
  });
}

TEST_F(Requests, PromptsThatBeginAlikeAreComputedOnce) {
  EngineOptions options;
  options.block_size = 8;
  Engine engine(*decoder_, tokenizer_, options);
  const std::string system = "You are a helpful assistant who knows all about tigers. ";
  engine.submit(request_of(system + "How big?", 4), listening_.listener());
  engine.run();
  const std::int64_t id = engine.submit(request_of(system + "How old?", 4), listening_.listener());
  engine.run();
  EXPECT_EQ(listening_.answer(id).last.cached_prompt_tokens, 56);
  EXPECT_EQ(engine.statistics().prefix_hit_tokens, 56);
  EXPECT_EQ(engine.statistics().prompt_tokens, 2 * 64);
}

TEST_F(Requests, PromptLookupSavesSteps) {
  EngineOptions options;
  GenerationRequest request = request_of("abcabcabcabc", 60);
  request.sampling.logit_bias = {{'a' - 32, 8.0F}};  // so that the answer repeats itself
  Engine plain(*decoder_, tokenizer_, options);
  const std::int64_t id = plain.submit(request, listening_.listener());
  plain.run();
  options.prompt_lookup = 4;
  Engine guessing(*decoder_, tokenizer_, options);
  Listening listening;
  guessing.submit(request, listening.listener());
  guessing.run();
  EXPECT_EQ(listening.answer(0).tokens, listening_.answer(id).tokens);
  EXPECT_GT(guessing.statistics().accepted_tokens, 0);
  EXPECT_EQ(guessing.statistics().steps + guessing.statistics().accepted_tokens,
            plain.statistics().steps);
  EXPECT_EQ(guessing.statistics().new_tokens, 60);
}

}  // namespace
}  // namespace tigerbot
