// Tokens a second that the reader of token shards gives out, for one reader on one thread.
//
//   build/bench/bench_shard_reader [shard-prefix ...]
//
// Without arguments it writes a shard of 50 million random ids in documents of 1 to 2,000 tokens
// and reads that, so that every document is at a random place of a 100 MB file.

#include <fmt/format.h>

#include <chrono>
#include <filesystem>
#include <string>
#include <vector>

#include "base/random.h"
#include "data/shards/shard_reader.h"
#include "data/shards/shard_writer.h"

using namespace tigerbot;
using namespace tigerbot::data;

namespace {

std::filesystem::path write_random_shard(const std::filesystem::path& prefix) {
  std::string lengths, ids;
  std::uint64_t tokens = 0;
  for (std::uint64_t document = 0; tokens < 50'000'000; ++document) {
    const auto length = static_cast<std::int32_t>(1 + random_below({1, 0, document}, 2000));
    lengths.append(reinterpret_cast<const char*>(&length), sizeof length);
    for (std::int32_t k = 0; k < length; ++k) {
      const auto id = static_cast<std::uint16_t>(random_below({1, 1, tokens++}, 60'000));
      ids.append(reinterpret_cast<const char*>(&id), sizeof id);
    }
  }
  write_shard(prefix, ShardType::kUint16, 1,
              [&](std::size_t) {
                return ShardPart{lengths, ids, nullptr};
              },
              {});
  return prefix;
}

double tokens_per_second(const ShardReaderOptions& options) {
  ShardReader reader(options);
  std::int64_t tokens = 0;
  const auto start = std::chrono::steady_clock::now();
  std::chrono::duration<double> passed{};
  do {
    tokens += reader.next(16).tokens();
    passed = std::chrono::steady_clock::now() - start;
  } while (passed.count() < 3);
  return static_cast<double>(tokens) / passed.count();
}

}  // namespace

int main(int count, char** arguments) {
  std::vector<ShardSource> sources;
  for (int k = 1; k < count; ++k) sources.push_back({arguments[k], {arguments[k]}, 1});
  const auto work = std::filesystem::temp_directory_path() / "tigerbot_shard_reader_benchmark";
  if (sources.empty()) {
    std::filesystem::create_directories(work);
    sources.push_back({"random", {write_random_shard(work / "random")}, 1});
  }
  fmt::print("| shuffle | packing | sequence length | million tokens/s |\n|---|---|---|---|\n");
  for (const std::int64_t length : {2048, 8192}) {
    for (const auto& [shuffle, name] :
         {std::pair(Shuffle::kDocuments, "documents"), std::pair(Shuffle::kWindows, "windows"),
          std::pair(Shuffle::kNone, "none")}) {
      ShardReaderOptions options;
      options.sources = sources;
      options.sequence_length = length;
      options.shuffle = shuffle;
      options.vocabulary_size = 1 << 20;
      fmt::print("| {} | split | {} | {:.1f} |\n", name, length, tokens_per_second(options) / 1e6);
    }
  }
  std::filesystem::remove_all(work);
}
