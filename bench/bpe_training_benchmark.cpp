// bench_bpe_training FILE VOCAB_SIZE THREADS PRE_TOKENIZER OUT.json [key=value ...]: trains a
// byte-level BPE on the lines of a file, as bench/tokenizer_training.py and the golden tests need
// it: one call, no LibTorch in memory. Prints seconds as JSON.

#include <fmt/format.h>
#include <sys/resource.h>

#include <chrono>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/files.h"
#include "base/memory_map.h"
#include "base/text.h"
#include "tokenizer/gguf_pre_tokenizers.h"
#include "tokenizer/training/tokenizer_files.h"

int main(int argc, char** argv) {
  using namespace tigerbot;
  if (argc < 6) {
    fmt::print(stderr, "usage: {} FILE VOCAB_SIZE THREADS PRE_TOKENIZER OUT.json\n", argv[0]);
    return 2;
  }
  const auto start = std::chrono::steady_clock::now();
  const auto seconds = [&] {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  };
  ByteLevelTrainerOptions options;
  options.vocab_size = static_cast<std::size_t>(std::atoll(argv[2]));
  options.threads = std::atoi(argv[3]);
  for (int i = 6; i < argc; ++i) {
    const std::string argument = argv[i];
    const std::size_t equals = argument.find('=');
    const std::string key = argument.substr(0, equals), value = argument.substr(equals + 1);
    if (key == "special") {
      for (const std::string_view token : split(value, ','))
        options.special_tokens.emplace_back(token);
    }
    if (key == "min_frequency") options.min_frequency = std::stoull(value);
    if (key == "limit_alphabet") options.limit_alphabet = std::stoull(value);
    if (key == "max_token_length") options.max_token_length = std::stoul(value);
    if (key == "byte_alphabet") options.byte_alphabet = value == "1";
  }
  const GgufPreTokenizer form = gguf_pre_tokenizer(argv[4], "PRE_TOKENIZER");
  const auto splitter = PreTokenizer::from_json(nlohmann::json::parse(form.pre_tokenizer), "");
  const auto normalizer = make_normalizer(nlohmann::json::parse(form.normalizer), "");
  WordCounter counter(splitter, normalizer.get(), options.threads);
  {
    const MemoryMap file(argv[1]);
    const std::string_view text = file.text();
    std::vector<std::string_view> lines;
    for (std::size_t begin = 0; begin < text.size();) {
      const std::size_t end = std::min(text.find('\n', begin), text.size() - 1) + 1;
      lines.push_back(text.substr(begin, end - begin));
      begin = end;
    }
    counter.add(lines);
  }
  const double counted = seconds();
  const WordCounts words = counter.finish();
  const double collected = seconds();
  const TrainedBpe bpe = train_byte_level_bpe(words, options);
  const double trained = seconds();
  TokenizerRoles roles;
  roles.special_tokens = options.special_tokens;
  write_file(argv[5], byte_level_tokenizer_json(bpe, roles, argv[4]).dump());
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  fmt::print(
      "{{\"words\": {}, \"count\": {:.3f}, \"collect\": {:.3f}, \"train\": {:.3f}, \"total\": "
      "{:.3f}, \"max_rss_mb\": {:.1f}}}\n",
      words.size(), counted, collected - counted, trained - collected, seconds(),
      static_cast<double>(usage.ru_maxrss) / 1024);
}
