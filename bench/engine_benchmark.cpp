#include <ATen/Parallel.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>

#include "base/error.h"
#include "base/random.h"
#include "infer/engine.h"
#include "infer/language_model.h"
#include "ops/cpu/allocator.h"
#include "weights/hub/models.h"

// The engine without a server: `streams` requests of random prompts at once, greedy, past the end
// mark; the same work that bench/serving.py asks of servers. The second run counts.
//
//   bench_engine MODEL THREADS STREAMS PROMPT_TOKENS NEW_TOKENS [KV_CACHE_DTYPE]

namespace {

double run(tigerbot::Engine& engine, std::int64_t vocabulary, std::int64_t streams,
           std::int64_t prompt_tokens, std::int64_t new_tokens, std::uint64_t seed) {
  const auto begin = std::chrono::steady_clock::now();
  for (std::int64_t i = 0; i < streams; ++i) {
    tigerbot::GenerationRequest request;
    for (std::int64_t k = 0; k < prompt_tokens; ++k) {
      const double u = tigerbot::random_uniform_double(
          {seed, static_cast<std::uint64_t>(i), static_cast<std::uint64_t>(k)});
      request.prompt.push_back(
          static_cast<tigerbot::TokenId>(u * static_cast<double>(vocabulary) * 0.9));
    }
    request.max_new_tokens = new_tokens;
    engine.submit(std::move(request), [](const tigerbot::GenerationUpdate&) {});
  }
  engine.run();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 6 && argc != 7) {
    std::fprintf(stderr,
                 "bench_engine MODEL THREADS STREAMS PROMPT_TOKENS NEW_TOKENS [KV_CACHE_DTYPE]\n");
    return 2;
  }
  try {
    tigerbot::cpu::install_tensor_allocator();
    at::set_num_threads(std::atoi(argv[2]));
    const std::int64_t streams = std::atoll(argv[3]);
    const std::int64_t prompt_tokens = std::atoll(argv[4]);
    const std::int64_t new_tokens = std::atoll(argv[5]);
    tigerbot::LanguageModel model(tigerbot::resolve_model(argv[1]), std::nullopt, at::kCPU);
    tigerbot::EngineOptions options;
    options.max_sequences = streams;
    if (argc == 7) options.cache_dtype = tigerbot::parse_kv_cache_dtype(argv[6]);
    options.cache_tokens = std::max<std::int64_t>(2048 * streams, 8192);
    tigerbot::Engine engine(model.decoder(), model.tokenizer(), options);
    const std::int64_t vocabulary = model.tokenizer().size();
    run(engine, vocabulary, streams, prompt_tokens, new_tokens, 1);
    const double seconds = run(engine, vocabulary, streams, prompt_tokens, new_tokens, 2);
    std::printf("{\"tokens_per_second\": %.2f, \"seconds\": %.3f}\n",
                static_cast<double>(streams * new_tokens) / seconds, seconds);
  } catch (const tigerbot::Error& error) {
    std::fprintf(stderr, "bench_engine: %s\n", error.what());
    return error.exit_status();
  }
  return 0;
}
