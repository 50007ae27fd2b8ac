#include "data/dedup/buckets.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "base/progress.h"
#include "data/dedup/partitioned_file.h"
#include "data/tasks.h"

namespace tigerbot::data {

HashBuckets::HashBuckets(std::uint64_t records, std::size_t record_size,
                         std::uint64_t memory_limit) {
  // A bucket is sorted in memory by each thread, beside what it writes.
  const std::uint64_t room =
      std::clamp<std::uint64_t>(memory_limit / 32, std::uint64_t{1} << 20, std::uint64_t{64} << 20);
  // And there are enough buckets for several threads.
  count_ = static_cast<std::size_t>(std::max<std::uint64_t>(
      records * record_size / room + 1, std::min<std::uint64_t>(16, records / 65536)));
}

int threads_within(const DedupContext& context, std::uint64_t bytes) {
  const std::uint64_t fit = context.memory_limit / 2 / std::max<std::uint64_t>(1, bytes);
  return static_cast<int>(
      std::clamp<std::uint64_t>(fit, 1, static_cast<std::uint64_t>(thread_count(context.threads))));
}

std::filesystem::path task_file(const std::filesystem::path& folder, std::string_view name,
                                std::size_t number) {
  return folder / fmt::format("{}-{:06}", name, number);
}

void run_step(const DedupContext& context, std::string_view label, std::size_t count,
              std::uint64_t bytes_each,
              const std::function<std::filesystem::path(std::size_t)>& file_of,
              const std::function<void(std::size_t)>& task) {
  Progress::Options options;
  options.unit_name = "tasks";
  options.enabled = context.show_progress && context.communicator.rank() == 0;
  // One rank shows its own share.
  Progress progress(std::string(label), 0, options);
  run_tasks(
      context.communicator, threads_within(context, bytes_each), count,
      [&](std::size_t k) { return is_whole_partitioned_file(file_of(k)); },
      [&](std::size_t k) {
        task(k);
        progress.advance();
      });
  progress.finish();
}

}  // namespace tigerbot::data
