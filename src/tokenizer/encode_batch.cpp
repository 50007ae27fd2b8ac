#include "tokenizer/encode_batch.h"

#include <algorithm>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

#include "tokenizer/tokenizer.h"

namespace tigerbot {

void run_parallel(WorkQueue& queue, int threads, const std::function<void(WorkQueue&)>& worker) {
  const std::size_t wanted = threads > 0
                                 ? static_cast<std::size_t>(threads)
                                 : std::max<std::size_t>(std::thread::hardware_concurrency(), 1);
  std::exception_ptr error;
  std::mutex error_mutex;
  const auto run = [&] {
    try {
      worker(queue);
    } catch (...) {
      const std::lock_guard lock(error_mutex);
      if (!error) error = std::current_exception();
      queue.close();
    }
  };
  {
    std::vector<std::jthread> others;
    for (std::size_t i = 1; i < std::min(wanted, queue.count()); ++i) others.emplace_back(run);
    run();
  }
  if (error) std::rethrow_exception(error);
}

EncodedBatch Tokenizer::encode_batch(std::span<const std::string_view> texts,
                                     const EncodeOptions& options, int threads) const {
  EncodedBatch batch;
  batch.texts.resize(texts.size());
  batch.blocks.resize(texts.size());
  WorkQueue queue(texts.size());
  run_parallel(queue, threads, [&](WorkQueue& work) {
    while (const auto i = work.take()) {
      const std::vector<TokenId> ids = encode(texts[*i], options);
      batch.blocks[*i] = std::make_unique_for_overwrite<TokenId[]>(ids.size());
      std::copy(ids.begin(), ids.end(), batch.blocks[*i].get());
      batch.texts[*i] = {batch.blocks[*i].get(), ids.size()};
    }
  });
  return batch;
}

}  // namespace tigerbot
