#include "infer/engine.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/argmax.h>
#include <ATen/ops/max.h>
#include <ATen/ops/min.h>
#include <ATen/ops/tensor.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "base/error.h"
#include "infer/tiny_model.h"

namespace tigerbot {
namespace {

struct Answer {
  std::string text;
  GenerationUpdate last;
};

std::map<std::int64_t, Answer> run(Decoder& decoder, const std::vector<GenerationRequest>& requests,
                                   const EngineOptions& options = {}) {
  const CharacterTokenizer tokenizer;
  Engine engine(decoder, tokenizer, options);
  std::map<std::int64_t, Answer> answers;
  for (const GenerationRequest& request : requests) {
    engine.submit(request, [&](const GenerationUpdate& update) {
      answers[update.id].text += update.text;
      answers[update.id].last = update;
    });
  }
  engine.run();
  return answers;
}

GenerationRequest request_of(std::string_view prompt, std::int64_t max_new_tokens) {
  GenerationRequest request;
  request.prompt = CharacterTokenizer().encode(prompt);
  request.max_new_tokens = max_new_tokens;
  return request;
}

/// The greedy continuation by whole forward passes, without a cache.
std::string plain_greedy(Decoder& decoder, std::string text, int count) {
  const at::NoGradGuard no_grad;
  const CharacterTokenizer tokenizer;
  std::string answer;
  for (int i = 0; i < count; ++i) {
    const std::vector<TokenId> ids = tokenizer.encode(text + answer);
    const at::Tensor hidden =
        decoder.forward(at::tensor(ids), make_sequences({static_cast<std::int64_t>(ids.size())}));
    const at::Tensor logits = decoder.logits(hidden.slice(0, hidden.size(0) - 1));
    answer += tokenizer.piece(static_cast<TokenId>(at::argmax(logits).item().toLong()));
  }
  return answer;
}

/// The same characters, but all past the first ten fill the vocabulary up.
class FilledUpTokenizer : public CharacterTokenizer {
 public:
  FilledUpTokenizer() { padding_from = 10; }
};

TEST(Engine, NeverGeneratesIdsThatFillTheVocabularyUp) {
  const auto decoder = tiny_decoder();
  for (const double temperature : {0.0, 5.0}) {
    const FilledUpTokenizer tokenizer;
    Engine engine(*decoder, tokenizer, {});
    GenerationRequest request = request_of("The quick brown fox", 50);
    request.sampling.temperature = temperature;
    std::string text;
    engine.submit(request, [&](const GenerationUpdate& update) { text += update.text; });
    engine.run();
    EXPECT_FALSE(text.empty());
    for (const char c : text) EXPECT_LT(c, 32 + 10);
  }
}

TEST(Engine, EqualsWholeForwardPasses) {
  const auto decoder = tiny_decoder();
  const std::string expected = plain_greedy(*decoder, "The quick brown fox", 24);
  EngineOptions options;
  for (const std::int64_t chunk : {1, 4, 7, 512}) {
    for (const std::int64_t block : {1, 5, 32}) {
      options.prefill_chunk = chunk;
      options.block_size = block;
      const auto answers = run(*decoder, {request_of("The quick brown fox", 24)}, options);
      EXPECT_EQ(answers.at(0).text, expected) << "chunk " << chunk << ", block " << block;
    }
  }
}

TEST(Engine, ManyTogetherAnswerAsOneByOne) {
  const auto decoder = tiny_decoder();
  std::vector<GenerationRequest> requests;
  for (int i = 0; i < 12; ++i) {
    requests.push_back(
        request_of(std::string(static_cast<std::size_t>(3 + 5 * i % 17), 'a' + i), 4 + i % 5));
    requests.back().sampling.temperature = i % 2 == 0 ? 0.0 : 0.8;
    requests.back().sampling.seed = static_cast<std::uint64_t>(i);
  }
  EngineOptions options;
  options.cache_tokens = 96;  // room for a few at a time
  options.block_size = 4;
  options.prefill_chunk = 10;
  const auto together = run(*decoder, requests, options);
  ASSERT_EQ(together.size(), requests.size());
  for (std::size_t i = 0; i < requests.size(); ++i) {
    const auto alone = run(*decoder, {requests[i]});
    EXPECT_EQ(together.at(static_cast<std::int64_t>(i)).text, alone.at(0).text) << i;
    EXPECT_EQ(together.at(static_cast<std::int64_t>(i)).last.new_tokens,
              requests[i].max_new_tokens);
  }
}

TEST(Engine, StopsAtTokensTextsAndLimits) {
  const auto decoder = tiny_decoder();
  const std::string whole = plain_greedy(*decoder, "abc", 12);
  const auto cut = [&](auto set) {
    GenerationRequest request = request_of("abc", 12);
    set(request);
    return run(*decoder, {request}).at(0);
  };
  const Answer all = cut([](auto&) {});
  EXPECT_EQ(all.text, whole);
  EXPECT_EQ(all.last.reason, FinishReason::kLength);
  const Answer text = cut([&](auto& r) { r.stop = {whole.substr(5, 3)}; });
  EXPECT_EQ(text.text, whole.substr(0, whole.find(whole.substr(5, 3))));
  EXPECT_EQ(text.last.reason, FinishReason::kStop);
  const Answer token = cut([&](auto& r) { r.stop_token_ids = {whole[4] - 32}; });
  EXPECT_EQ(token.text, whole.substr(0, whole.find(whole[4])));
  EXPECT_EQ(token.last.reason, FinishReason::kStop);
}

TEST(Engine, AnAnswerEndsWithTheContext) {
  const auto decoder = tiny_decoder();
  const Answer answer = run(*decoder, {request_of(std::string(120, 'x'), 100)}).at(0);
  EXPECT_EQ(answer.last.new_tokens, 8);
  EXPECT_EQ(answer.last.reason, FinishReason::kLength);
}

TEST(Engine, BadRequestsAreRefused) {
  const auto decoder = tiny_decoder();
  EXPECT_THROW(run(*decoder, {request_of("", 1)}), Error);
  EXPECT_THROW(run(*decoder, {request_of(std::string(128, 'x'), 1)}), Error);
  EXPECT_THROW(run(*decoder, {request_of("x", 0)}), Error);
  GenerationRequest request = request_of("x", 1);
  request.prompt.push_back(97);
  EXPECT_THROW(run(*decoder, {request}), Error);
  EngineOptions options;
  options.cache_tokens = 8;
  options.block_size = 4;
  EXPECT_THROW(run(*decoder, {request_of("0123456789", 5)}, options), Error);
}

TEST(Engine, ACancelledRequestEndsAndFreesItsBlocks) {
  const auto decoder = tiny_decoder();
  const CharacterTokenizer tokenizer;
  EngineOptions options;
  options.cache_tokens = 128;
  Engine engine(*decoder, tokenizer, options);
  GenerationUpdate first;
  std::string second;
  const std::int64_t id =
      engine.submit(request_of("hello", 40), [&](const GenerationUpdate& u) { first = u; });
  engine.submit(request_of("world", 40), [&](const GenerationUpdate& u) { second += u.text; });
  for (int i = 0; i < 5; ++i) EXPECT_TRUE(engine.step());
  EXPECT_EQ(engine.statistics().free_blocks, 2);
  engine.cancel(id);
  EXPECT_EQ(engine.statistics().free_blocks, 3);  // at once, not a step later
  EXPECT_TRUE(first.finished);
  EXPECT_EQ(first.reason, FinishReason::kCancelled);
  EXPECT_EQ(first.new_tokens, 5);
  engine.run();
  EXPECT_EQ(second.size(), 40U);
}

TEST(Engine, StatisticsSayWhatOfTheHeldRoomIsUnused) {
  const auto decoder = tiny_decoder();
  const CharacterTokenizer tokenizer;
  EngineOptions options;
  options.block_size = 8;
  options.prefill_chunk = 4;
  Engine engine(*decoder, tokenizer, options);
  EXPECT_EQ(engine.statistics().fragmentation(), 0);
  engine.submit(request_of("0123456789", 20), [](const GenerationUpdate&) {});
  engine.step();  // two blocks, and the first chunk is in the first of them
  EXPECT_EQ(engine.statistics().held_tokens, 16);
  EXPECT_EQ(engine.statistics().stored_tokens, 4);
  EXPECT_EQ(engine.statistics().fragmentation(), 0.75);
  engine.step();
  engine.step();
  EXPECT_EQ(engine.statistics().stored_tokens, 10);
  engine.run();
  EXPECT_EQ(engine.statistics().fragmentation(), 0);
}

TEST(Engine, ARequestThatIsNotCountedIsInNoStatistic) {
  const auto decoder = tiny_decoder();
  const CharacterTokenizer tokenizer;
  Engine engine(*decoder, tokenizer, {});
  GenerationRequest request = request_of("hello", 5);
  request.counted = false;
  std::string text;
  engine.submit(request, [&](const GenerationUpdate& update) { text += update.text; });
  engine.run();
  EXPECT_EQ(text.size(), 5U);
  const EngineStatistics none = engine.statistics();
  EXPECT_EQ(none.requests + none.finished + none.prompt_tokens + none.new_tokens + none.steps, 0);
  EXPECT_EQ(none.step_seconds, 0);
  request.counted = true;
  engine.submit(request, [](const GenerationUpdate&) {});
  engine.run();
  const EngineStatistics one = engine.statistics();
  EXPECT_EQ(one.requests, 1);
  EXPECT_EQ(one.finished, 1);
  EXPECT_EQ(one.prompt_tokens, 5);
  EXPECT_EQ(one.new_tokens, 5);
  EXPECT_EQ(one.steps, 5);
}

TEST(KeyValueCache, CopiesABlockInAllLayers) {
  const KeyValueCache cache(tiny_config(), 3, 4, at::kFloat, at::kCPU);
  for (const PagedKeyValues& layer : cache.layers()) {
    layer.keys.fill_(1);
    layer.values.fill_(2);
    layer.keys.select(0, 0).fill_(3);
    layer.values.select(0, 0).fill_(4);
  }
  cache.copy_block(0, 2);
  for (const PagedKeyValues& layer : cache.layers()) {
    EXPECT_EQ(layer.keys.select(0, 2).min().item().toDouble(), 3);
    EXPECT_EQ(layer.values.select(0, 2).min().item().toDouble(), 4);
    EXPECT_EQ(layer.keys.select(0, 1).max().item().toDouble(), 1);
  }
  EXPECT_EQ(KeyValueCache::bytes_per_token(tiny_config(), at::kBFloat16), 2 * 2 * 16 * 2);
}

TEST(KeyValueCache, CopiesABlockWithItsScales) {
  const KeyValueCache cache(tiny_config(), 3, 4, at::kChar, at::kCPU);
  for (const PagedKeyValues& layer : cache.layers()) {
    ASSERT_TRUE(layer.quantized());
    for (const at::Tensor& part :
         {layer.keys, layer.values, layer.key_scales, layer.value_scales}) {
      part.fill_(1);
      part.select(0, 0).fill_(3);
    }
  }
  cache.copy_block(0, 2);
  for (const PagedKeyValues& layer : cache.layers()) {
    for (const at::Tensor& part :
         {layer.keys, layer.values, layer.key_scales, layer.value_scales}) {
      EXPECT_EQ(part.select(0, 2).min().item().toDouble(), 3);
      EXPECT_EQ(part.select(0, 1).max().item().toDouble(), 1);
    }
  }
  EXPECT_EQ(KeyValueCache::bytes_per_token(tiny_config(), at::kChar), 2 * 2 * (16 + 4));
}

TEST(KeyValueCache, TakesTheNamesOfItsTypes) {
  EXPECT_EQ(parse_kv_cache_dtype("auto"), std::nullopt);
  EXPECT_EQ(parse_kv_cache_dtype("int8"), at::kChar);
  EXPECT_THROW(parse_kv_cache_dtype("fp8"), Error);
}

TEST(Engine, StatisticsSayHowLargeABlockIs) {
  const auto decoder = tiny_decoder();
  const CharacterTokenizer tokenizer;
  EngineOptions options;
  options.block_size = 8;
  EXPECT_EQ(Engine(*decoder, tokenizer, options).statistics().block_bytes, 8 * 2 * 2 * 16 * 4);
  options.cache_dtype = at::kChar;
  EXPECT_EQ(Engine(*decoder, tokenizer, options).statistics().block_bytes, 8 * 2 * 2 * (16 + 4));
}

TEST(Engine, AQuantizedCacheSaysNearlyTheSame) {
  const auto decoder = tiny_decoder();
  GenerationRequest request = request_of("The quick brown fox jumps over", 1);
  request.logprobs = 97;
  EngineOptions options;
  const auto logprobs = [&] {
    const CharacterTokenizer tokenizer;
    Engine engine(*decoder, tokenizer, options);
    std::map<TokenId, float> of;
    engine.submit(request, [&](const GenerationUpdate& update) {
      for (const TokenLogprobs& token : update.logprobs) {
        for (const auto& [id, logprob] : token.top) of[id] = logprob;
      }
    });
    engine.run();
    EXPECT_EQ(of.size(), 97U);
    return of;
  };
  const auto exact = logprobs();
  options.cache_dtype = at::kChar;
  const auto quantized = logprobs();
  float largest = 0;
  for (const auto& [id, logprob] : exact) {
    largest = std::max(largest, std::abs(logprob - quantized.at(id)));
  }
  EXPECT_GT(largest, 0);  // it is quantized
  EXPECT_LT(largest, 0.2);
}

}  // namespace
}  // namespace tigerbot
