#include "tokenizer/encode_batch.h"

#include <algorithm>
#include <atomic>
#include <exception>
#include <mutex>
#include <thread>

namespace tigerbot {

void run_parallel(std::size_t count, int threads, const std::function<void(std::size_t)>& work) {
  const std::size_t wanted = threads > 0
                                 ? static_cast<std::size_t>(threads)
                                 : std::max<std::size_t>(std::thread::hardware_concurrency(), 1);
  std::atomic<std::size_t> next{0};
  std::exception_ptr error;
  std::mutex error_mutex;
  const auto run = [&] {
    try {
      for (std::size_t i = next++; i < count; i = next++) work(i);
    } catch (...) {
      const std::lock_guard lock(error_mutex);
      if (!error) error = std::current_exception();
      next = count;
    }
  };
  {
    std::vector<std::jthread> others;
    for (std::size_t i = 1; i < std::min(wanted, count); ++i) others.emplace_back(run);
    run();
  }
  if (error) std::rethrow_exception(error);
}

EncodedBatch Tokenizer::encode_batch(std::span<const std::string_view> texts,
                                     const EncodeOptions& options, int threads) const {
  EncodedBatch batch;
  batch.texts.resize(texts.size());
  batch.blocks.resize(texts.size());
  run_parallel(texts.size(), threads, [&](std::size_t i) {
    const std::vector<TokenId> ids = encode(texts[i], options);
    batch.blocks[i] = std::make_unique_for_overwrite<TokenId[]>(ids.size());
    std::copy(ids.begin(), ids.end(), batch.blocks[i].get());
    batch.texts[i] = {batch.blocks[i].get(), ids.size()};
  });
  return batch;
}

}  // namespace tigerbot
