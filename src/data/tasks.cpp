#include "data/tasks.h"

#include <algorithm>
#include <atomic>
#include <exception>
#include <mutex>
#include <new>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "base/error.h"

namespace tigerbot::data {
namespace {

/// An Error as bytes: 'u' or 'f' for its kind, then the message. Empty: no error.
std::string pack(const std::exception_ptr& error) {
  if (!error) return "";
  try {
    std::rethrow_exception(error);
  } catch (const Error& caught) {
    return (caught.kind() == Error::Kind::kUser ? "u" : "f") + std::string(caught.what());
  } catch (const std::bad_alloc&) {
    return "fout of memory";
  } catch (const std::exception& caught) {
    return "f" + std::string(caught.what());
  }
}

/// Throws the lowest rank's error on every rank; waits for all of them.
void agree(Communicator& communicator, const std::exception_ptr& error) {
  if (communicator.size() == 1) {
    if (error) std::rethrow_exception(error);
    return;
  }
  for (const std::string& packed : communicator.all_gather(pack(error))) {
    if (packed.empty()) continue;
    throw Error(packed.substr(1), packed[0] == 'u' ? Error::Kind::kUser : Error::Kind::kFailure);
  }
}

/// The open tasks of one rank, ascending: the heaviest first, each to the rank that has least.
std::vector<std::size_t> share_of_rank(const std::string& open,
                                       std::span<const std::uint64_t> weights, std::size_t ranks,
                                       std::size_t rank) {
  std::vector<std::size_t> tasks, mine;
  for (std::size_t k = 0; k < open.size(); ++k)
    if (open[k] != '\0') tasks.push_back(k);
  const auto weight = [&](std::size_t k) { return weights.empty() ? 1 : weights[k]; };
  std::stable_sort(tasks.begin(), tasks.end(),
                   [&](std::size_t a, std::size_t b) { return weight(a) > weight(b); });
  std::vector<std::uint64_t> load(ranks, 0);
  for (const std::size_t k : tasks) {
    const auto least = std::min_element(load.begin(), load.end());
    *least += weight(k) + 1;
    if (static_cast<std::size_t>(least - load.begin()) == rank) mine.push_back(k);
  }
  std::sort(mine.begin(), mine.end());
  return mine;
}

}  // namespace

int thread_count(int threads) {
  if (threads > 0) return threads;
  return std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
}

std::string from_first_rank(Communicator& communicator, const std::string& bytes) {
  if (communicator.size() == 1) return bytes;
  return communicator.all_gather(communicator.rank() == 0 ? bytes : std::string())[0];
}

void run_together(Communicator& communicator, const std::function<void()>& step) {
  std::exception_ptr error;
  try {
    step();
  } catch (...) {
    error = std::current_exception();
  }
  agree(communicator, error);
}

void run_tasks(Communicator& communicator, int threads, std::size_t count,
               const std::function<bool(std::size_t)>& done,
               const std::function<void(std::size_t)>& task,
               std::span<const std::uint64_t> weights) {
  // Rank 0 alone looks: a rank that looks later would see what others have finished meanwhile, and
  // the ranks would share out different lists.
  std::string open(count, '\0');
  run_together(communicator, [&] {
    if (communicator.rank() != 0) return;
    for (std::size_t k = 0; k < count; ++k) open[k] = done(k) ? '\0' : '\1';
  });
  open = from_first_rank(communicator, open);
  const std::vector<std::size_t> mine =
      share_of_rank(open, weights, static_cast<std::size_t>(communicator.size()),
                    static_cast<std::size_t>(communicator.rank()));

  std::atomic<std::size_t> next{0};
  std::atomic<bool> failed{false};
  std::mutex mutex;
  std::exception_ptr first;
  std::size_t first_task = 0;
  const auto work = [&] {
    while (!failed.load()) {
      const std::size_t at = next++;
      if (at >= mine.size()) return;
      try {
        task(mine[at]);
      } catch (...) {
        const std::lock_guard lock(mutex);
        // The lowest task's error, whichever thread was first.
        if (!first || mine[at] < first_task) {
          first = std::current_exception();
          first_task = mine[at];
        }
        failed = true;
      }
    }
  };
  run_together(communicator, [&] {
    std::vector<std::thread> others;
    const auto wanted = std::min<std::size_t>(static_cast<std::size_t>(thread_count(threads)),
                                              std::max<std::size_t>(mine.size(), 1));
    for (std::size_t k = 1; k < wanted; ++k) others.emplace_back(work);
    work();
    for (std::thread& thread : others) thread.join();
    if (first) std::rethrow_exception(first);
  });
}

}  // namespace tigerbot::data
