#include <ATen/Parallel.h>
#include <gtest/gtest.h>

#include <cstdlib>

#include "base/files.h"
#include "infer/engine.h"
#include "infer/language_model.h"
#include "infer/run_engine.h"
#include "infer/tiny_model.h"

namespace tigerbot {
namespace {

// The same request gives the same answer, bit for bit in the logits, whatever else is being served
// and however it is computed.

struct Model {
  std::string name;
  ModelConfig::Family family;
  at::ScalarType dtype;
  bool quantized = false;
  std::optional<at::ScalarType> cache_dtype{};
};

class SameAnswer : public testing::TestWithParam<Model> {
 protected:
  static std::unique_ptr<Decoder> decoder() {
    if (GetParam().quantized) return tiny_quantized_decoder();
    const ModelConfig config =
        GetParam().family == ModelConfig::Family::kBloom ? tiny_bloom_config() : tiny_config();
    return tiny_decoder(config, GetParam().dtype);
  }
};

GenerationRequest request_of(const std::string& prompt, std::int64_t max_new_tokens) {
  GenerationRequest request;
  request.prompt = CharacterTokenizer().encode(prompt);
  request.max_new_tokens = max_new_tokens;
  return request;
}

std::vector<GenerationRequest> different_requests(int count) {
  std::vector<GenerationRequest> requests;
  const std::string text =
      "It is a truth universally acknowledged, that a single man in possession of a good fortune";
  for (int i = 0; i < count; ++i) {
    // A third of them begin alike.
    const std::string prompt = i % 3 == 0 ? text.substr(0, static_cast<std::size_t>(20 + i % 50))
                                          : text.substr(static_cast<std::size_t>(i % 60),
                                                        static_cast<std::size_t>(1 + i % 29));
    requests.push_back(request_of(prompt, 3 + i % 24));
    requests.back().sampling.temperature = i % 2 == 0 ? 0.0 : 0.9;
    requests.back().sampling.seed = static_cast<std::uint64_t>(i);
    if (i % 4 == 1) requests.back().sampling.top_p = 0.9;
    if (i % 5 == 1) requests.back().sampling.top_k = 12;
    requests.back().priority = i % 3;
    requests.back().client = std::to_string(i % 7);
  }
  return requests;
}

void expect_equal(const Told& one, const Told& other, const std::string& what) {
  EXPECT_EQ(one.tokens, other.tokens) << what;
  EXPECT_EQ(one.logits, other.logits) << what;
  EXPECT_EQ(one.text, other.text) << what;
}

/// One thread for as long as it lives: tiny models run faster so on a busy machine.
class OneThread {
 public:
  OneThread() : threads_(at::get_num_threads()) { at::set_num_threads(1); }
  ~OneThread() { at::set_num_threads(threads_); }
  OneThread(const OneThread&) = delete;
  OneThread& operator=(const OneThread&) = delete;

 private:
  int threads_;
};

TEST_P(SameAnswer, AmongAHundredOthersHoweverTheyAreComputed) {
  const OneThread one_thread;
  const auto decoder = SameAnswer::decoder();
  const CharacterTokenizer tokenizer;
  const std::vector<GenerationRequest> requests = different_requests(100);
  std::vector<Told> alone;
  for (const GenerationRequest& request : requests) {
    EngineOptions options;
    options.cache_dtype = GetParam().cache_dtype;
    alone.push_back(run_engine(*decoder, tokenizer, {request}, options).front());
  }
  struct Way {
    std::string name;
    EngineOptions options;
  };
  std::vector<Way> ways(6);
  ways[0].name = "all together";
  ways[0].options.max_sequences = 100;
  ways[0].options.cache_tokens = 20000;
  ways[1].name = "small chunks, no prefix cache";
  ways[1].options.prefill_chunk = 7;
  ways[1].options.prefix_cache = false;
  ways[2].name = "small blocks";
  ways[2].options.block_size = 3;
  ways[2].options.prefill_chunk = 31;
  ways[3].name = "a cache so small that many are put off";
  ways[3].options.block_size = 4;
  ways[3].options.cache_tokens = 240;
  ways[4].name = "put off, and nothing found again";
  ways[4].options = ways[3].options;
  ways[4].options.prefix_cache = false;
  ways[5].name = "one at a time";
  ways[5].options.max_sequences = 1;
  ways[5].options.prompt_lookup = 5;
  for (Way& way : ways) {
    way.options.cache_dtype = GetParam().cache_dtype;
    const std::vector<Told> together = run_engine(*decoder, tokenizer, requests, way.options);
    for (std::size_t i = 0; i < requests.size(); ++i) {
      expect_equal(together[i], alone[i], way.name + ", request " + std::to_string(i));
      if (HasFailure()) return;
    }
  }
}

TEST_P(SameAnswer, OnOneThreadAsOnSeveral) {
  const auto decoder = SameAnswer::decoder();
  const CharacterTokenizer tokenizer;
  const std::vector<GenerationRequest> requests = different_requests(20);
  EngineOptions options;
  options.cache_dtype = GetParam().cache_dtype;
  const std::vector<Told> several = run_engine(*decoder, tokenizer, requests, options);
  const OneThread one_thread;
  const std::vector<Told> one = run_engine(*decoder, tokenizer, requests, options);
  for (std::size_t i = 0; i < requests.size(); ++i) {
    expect_equal(one[i], several[i], std::to_string(i));
  }
}

INSTANTIATE_TEST_SUITE_P(
    Models, SameAnswer,
    testing::Values(
        Model{"LlamaFloat32", ModelConfig::Family::kLlama, at::kFloat},
        Model{"LlamaBfloat16", ModelConfig::Family::kLlama, at::kBFloat16},
        Model{"LlamaFourBit", ModelConfig::Family::kLlama, at::kBFloat16, true},
        Model{"LlamaFloat32CacheInt8", ModelConfig::Family::kLlama, at::kFloat, false, at::kChar},
        Model{"LlamaFourBitCacheInt8", ModelConfig::Family::kLlama, at::kBFloat16, true, at::kChar},
        Model{"BloomBfloat16CacheInt8", ModelConfig::Family::kBloom, at::kBFloat16, false,
              at::kChar},
        Model{"BloomFloat32", ModelConfig::Family::kBloom, at::kFloat},
        Model{"BloomBfloat16", ModelConfig::Family::kBloom, at::kBFloat16}),
    [](const testing::TestParamInfo<Model>& info) { return info.param.name; });

TEST(SameAnswerOfSmolLm2, AmongOthersCachedOrPutOff) {
  const char* without = std::getenv("TIGERBOT_TEST_WITHOUT_MODELS");
  if (without && std::string(without) == "1") GTEST_SKIP() << "asked for no real models";
  const auto path = cache_folder() / "models" / "smollm2-135m-instruct";
  ASSERT_TRUE(std::filesystem::exists(path)) << "run `tigerbot pull smollm2-135m-instruct`";
  LanguageModel model(path, at::kBFloat16, at::kCPU);
  const std::string text =
      "The history of the printing press begins long before Gutenberg: in China and Korea books "
      "were printed from carved blocks of wood, and from movable letters of clay and bronze. ";
  std::vector<GenerationRequest> requests;
  for (int i = 0; i < 12; ++i) {
    GenerationRequest request;
    request.prompt =
        model.encode_text(i % 2 == 0 ? text + std::string(1, static_cast<char>('A' + i))
                                     : text.substr(static_cast<std::size_t>(5 * i)));
    request.max_new_tokens = 3 + i % 5;
    request.sampling.temperature = i % 4 == 0 ? 0.0 : 0.8;
    request.sampling.top_p = 0.95;
    request.sampling.seed = static_cast<std::uint64_t>(i);
    requests.push_back(request);
  }
  EngineOptions options;
  options.max_sequences = 32;
  const std::vector<Told> together =
      run_engine(model.decoder(), model.tokenizer(), requests, options);
  options.cache_tokens = 160;
  options.block_size = 8;
  options.prefill_chunk = 23;
  const std::vector<Told> squeezed =
      run_engine(model.decoder(), model.tokenizer(), requests, options);
  for (std::size_t i = 0; i < requests.size(); ++i) {
    expect_equal(squeezed[i], together[i], "squeezed, request " + std::to_string(i));
    if (i % 3 != 0) continue;
    const Told alone = run_engine(model.decoder(), model.tokenizer(), {requests[i]}).front();
    expect_equal(alone, together[i], "alone, request " + std::to_string(i));
  }
}

}  // namespace
}  // namespace tigerbot
