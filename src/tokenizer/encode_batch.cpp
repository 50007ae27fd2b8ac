#include "tokenizer/encode_batch.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstdlib>
#include <exception>
#include <mutex>
#include <new>
#include <thread>
#include <vector>

#include "tokenizer/tokenizer.h"

namespace tigerbot {

void FreeIds::operator()(TokenId* ids) const { std::free(ids); }

IdBlock allocate_ids(std::size_t count) {
  // Large blocks in large pages: a page fault for every thousand ids costs more than the ids.
  constexpr std::size_t kLargePage = std::size_t{1} << 21;
  const std::size_t size = std::max<std::size_t>(count, 1) * sizeof(TokenId);
  void* memory = nullptr;
  if (size < 2 * kLargePage) {
    memory = std::malloc(size);
  } else {
    memory = std::aligned_alloc(kLargePage, (size + kLargePage - 1) / kLargePage * kLargePage);
#ifdef MADV_HUGEPAGE
    if (memory != nullptr) madvise(memory, size, MADV_HUGEPAGE);
#endif
  }
  if (memory == nullptr) throw std::bad_alloc();
  return IdBlock(static_cast<TokenId*>(memory));
}

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
      batch.blocks[*i] = allocate_ids(ids.size());
      std::copy(ids.begin(), ids.end(), batch.blocks[*i].get());
      batch.texts[*i] = {batch.blocks[*i].get(), ids.size()};
    }
  });
  return batch;
}

}  // namespace tigerbot
