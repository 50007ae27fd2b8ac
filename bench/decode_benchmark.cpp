// Prefill and decode with random weights of SmolLM2-135M's shape: what the ops reach without any
// model file, and with --products the dense products alone beside LibTorch's.
//
//   bench_decode [--threads 2] [--products]
//
// With --profile, where a token's time goes in a model of this machine:
//
//   bench_decode --profile MODEL [--threads 2] [--tokens 128]

#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/randn.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "decode_profile.h"
#include "infer/language_model.h"
#include "infer/speed.h"
#include "model/decoder.h"
#include "ops/cpu/allocator.h"
#include "ops/linear.h"
#include "weights/hub/models.h"

namespace tigerbot {
namespace {

ModelConfig smollm2() {
  ModelConfig config;
  config.family = ModelConfig::Family::kLlama;
  config.model_type = "llama";
  config.vocab_size = 49152;
  config.hidden_size = 576;
  config.intermediate_size = 1536;
  config.num_hidden_layers = 30;
  config.num_attention_heads = 9;
  config.num_key_value_heads = 3;
  config.head_dim = 64;
  config.max_position_embeddings = 8192;
  config.rope_theta = 100000;
  config.tie_word_embeddings = true;
  return config;
}

double seconds(const auto& fn) {
  fn();
  double best = 1e30;
  for (int i = 0; i < 7; ++i) {
    const auto start = std::chrono::steady_clock::now();
    fn();
    best = std::min(
        best, std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
  }
  return best;
}

/// GFLOP/s of products with enough different weights that they come from memory.
void products() {
  const at::NoGradGuard no_grad;
  std::printf("%-14s %6s %14s %14s\n", "out x in", "rows", "packed GFLOP/s", "ATen GFLOP/s");
  for (const auto& [out, in] : std::vector<std::pair<int, int>>{
           {576, 576}, {192, 576}, {1536, 576}, {576, 1536}, {49152, 576}}) {
    const int copies = std::max(1, static_cast<int>(120e6 / (2.0 * out * in)));
    std::vector<at::Tensor> plain;
    std::vector<ops::PackedWeight> packed;
    for (int i = 0; i < copies; ++i) {
      plain.push_back(at::randn({out, in}).to(at::kBFloat16));
      packed.emplace_back(plain.back());
    }
    for (const int rows : {1, 2, 4, 8, 16, 32, 128, 512}) {
      const at::Tensor x = at::randn({rows, in}).to(at::kBFloat16);
      const double operations = 2.0 * rows * out * in * copies;
      const double ours = seconds([&] {
        for (const auto& w : packed) ops::linear(x, w);
      });
      const double theirs = seconds([&] {
        for (const auto& w : plain) at::linear(x, w);
      });
      std::printf("%-14s %6d %14.0f %14.0f\n",
                  (std::to_string(out) + " x " + std::to_string(in)).c_str(), rows,
                  operations / ours / 1e9, operations / theirs / 1e9);
    }
  }
}

/// The fastest of five answers of so many tokens, and a table of it.
void profile(const std::string& path, std::int64_t tokens) {
  LanguageModel model(resolve_model(path), at::kBFloat16, at::kCPU);
  const MachineLimits limits = measure_machine_limits(at::kBFloat16);
  const double plain = measure_decode(model.decoder(), tokens, 1, 5).most();
  DecodeProfile best;
  double seconds = 1e300;
  std::int64_t steps = 0;
  for (int round = 0; round < 5; ++round) {
    DecodeProfile one;
    one.start();
    const SpeedSample sample = measure_decode(model.decoder(), tokens, 1, 1);
    one.stop();
    // measure_decode runs 8 steps, or fewer, before those that it counts.
    const std::int64_t warm_up = std::min<std::int64_t>(tokens, 8);
    const double took = static_cast<double>(tokens) / sample.most();
    if (took >= seconds) continue;
    seconds = took;
    steps = tokens + warm_up;
    best = one;
  }
  std::printf("%s: %.1f tokens/s without the profile, %.1f with it; memory reads %.1f GB/s\n\n",
              path.c_str(), plain, static_cast<double>(tokens) / seconds,
              limits.read_bytes_per_second / 1e9);
  best.print(seconds * static_cast<double>(steps) / static_cast<double>(tokens), steps,
             limits.read_bytes_per_second);
}

int run(int argc, char** argv) {
  cpu::install_tensor_allocator();
  int threads = 2;
  std::int64_t tokens = 128;
  std::string profiled;
  for (int i = 1; i < argc; ++i) {
    const std::string word = argv[i];
    if (word == "--threads" && i + 1 < argc) threads = std::atoi(argv[++i]);
    if (word == "--tokens" && i + 1 < argc) tokens = std::atoi(argv[++i]);
    if (word == "--profile" && i + 1 < argc) profiled = argv[++i];
    if (word == "--products") {
      at::set_num_threads(threads);
      products();
      return 0;
    }
  }
  at::set_num_threads(threads);
  if (!profiled.empty()) {
    profile(profiled, tokens);
    return 0;
  }
  const auto decoder = make_decoder(
      smollm2(),
      [](const std::string&, const std::vector<std::int64_t>& shape) {
        return at::randn(shape) * 0.04;
      },
      at::kBFloat16);
  const MachineLimits limits = measure_machine_limits(at::kBFloat16);
  std::printf("memory reads %.1f GB/s, dense products %.0f GFLOP/s\n",
              limits.read_bytes_per_second / 1e9, limits.products_per_second / 1e9);
  for (const std::int64_t tokens : {128, 512, 2048}) {
    const SpeedSample sample = measure_prefill(*decoder, tokens, 512, 5);
    std::printf("prefill %5ld tokens: %8.1f tokens/s (%.1f to %.1f)\n", tokens, sample.median(),
                sample.least(), sample.most());
  }
  for (const std::int64_t sequences : {1, 4, 16, 64}) {
    const SpeedSample sample = measure_decode(*decoder, 128, sequences, 3);
    std::printf("decode  %5ld at a time: %8.1f tokens/s (%.1f to %.1f)\n", sequences,
                sample.median(), sample.least(), sample.most());
  }
  return 0;
}

}  // namespace
}  // namespace tigerbot

int main(int argc, char** argv) { return tigerbot::run(argc, argv); }
