// Encodes a packed corpus (for each document its size as four bytes, little-endian, then its bytes)
// and says how fast: the driver of bench/tokenizers.py and tests/golden/compare_tokenizers.py.

#include <fmt/format.h>

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "tokenizer/tokenizer.h"

namespace {

using tigerbot::TokenId;

std::string read_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) tigerbot::fail("{}: cannot be read", path);
  return {std::istreambuf_iterator<char>(file), {}};
}

std::vector<std::string_view> unpack(std::string_view packed) {
  std::vector<std::string_view> documents;
  while (packed.size() >= 4) {
    std::uint32_t size;
    std::memcpy(&size, packed.data(), 4);
    documents.push_back(packed.substr(4, size));
    packed.remove_prefix(4 + documents.back().size());
  }
  return documents;
}

void write_ids(const std::string& path, const tigerbot::EncodedBatch& batch) {
  std::ofstream file(path, std::ios::binary);
  for (const std::span<const TokenId> ids : batch.texts) {
    const auto count = static_cast<std::uint32_t>(ids.size());
    file.write(reinterpret_cast<const char*>(&count), 4);
    file.write(reinterpret_cast<const char*>(ids.data()),
               static_cast<std::streamsize>(ids.size_bytes()));
  }
}

// Documents whose ids, decoded one at a time, do not give the text of all at once.
std::size_t count_stream_differences(const tigerbot::Tokenizer& tokenizer,
                                     const tigerbot::EncodedBatch& batch) {
  std::size_t differing = 0;
  for (const std::span<const TokenId> ids : batch.texts) {
    tigerbot::StreamDecoder stream(tokenizer, false);
    std::string text;
    for (const TokenId id : ids) text += stream.push(id);
    text += stream.finish();
    differing += text != tokenizer.decode(ids, false);
  }
  return differing;
}

int run(int argc, char** argv) {
  std::vector<std::string> files;
  std::string ids_path;
  int threads = 1;
  bool check_streaming = false;
  for (int i = 1; i < argc; ++i) {
    const std::string argument = argv[i];
    if (argument == "--ids" && i + 1 < argc) {
      ids_path = argv[++i];
    } else if (argument == "--threads" && i + 1 < argc) {
      threads = std::stoi(argv[++i]);
    } else if (argument == "--check-streaming") {
      check_streaming = true;
    } else {
      files.push_back(argument);
    }
  }
  if (files.size() != 2) {
    tigerbot::fail(
        "usage: bench_tokenizer [--threads N] [--ids FILE] [--check-streaming] "
        "TOKENIZER_JSON|SENTENCEPIECE_MODEL CORPUS");
  }
  using Clock = std::chrono::steady_clock;
  const auto seconds = [](Clock::time_point begin, Clock::time_point end) {
    return std::chrono::duration<double>(end - begin).count();
  };
  const std::string json = read_file(files[0]);
  const std::string corpus = read_file(files[1]);
  const std::vector<std::string_view> documents = unpack(corpus);
  std::size_t size = 0;
  for (const std::string_view document : documents) size += document.size();
  const auto load_begin = Clock::now();
  // A SentencePiece model is compared with `sentencepiece`, which adds and finds no special tokens.
  const bool sentencepiece = files[0].ends_with(".model");
  const auto tokenizer = sentencepiece ? tigerbot::parse_sentencepiece_model(json, files[0])
                                       : tigerbot::parse_tokenizer_json(json, files[0]);
  const tigerbot::Tokenizer::EncodeOptions options{.add_special_tokens = !sentencepiece,
                                                   .parse_special_tokens = !sentencepiece};
  const auto begin = Clock::now();
  const std::clock_t cpu_begin = std::clock();
  const tigerbot::EncodedBatch batch = tokenizer->encode_batch(documents, options, threads);
  const auto end = Clock::now();
  const double cpu_seconds = static_cast<double>(std::clock() - cpu_begin) / CLOCKS_PER_SEC;
  std::size_t count = 0;
  for (const std::span<const TokenId> ids : batch.texts) count += ids.size();
  fmt::print(
      "{{\"load_seconds\": {:.4f}, \"seconds\": {:.4f}, \"cpu_seconds\": {:.4f}, "
      "\"megabytes_per_second\": {:.2f}, \"ids\": {}}}\n",
      seconds(load_begin, begin), seconds(begin, end), cpu_seconds,
      size / 1e6 / seconds(begin, end), count);
  if (!ids_path.empty()) write_ids(ids_path, batch);
  if (check_streaming) {
    const std::size_t differing = count_stream_differences(*tokenizer, batch);
    fmt::print("{{\"stream_differences\": {}}}\n", differing);
    return differing == 0 ? 0 : 1;
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return run(argc, argv);
  } catch (const std::exception& error) {
    fmt::print(stderr, "bench_tokenizer: {}\n", error.what());
    return 2;
  }
}
