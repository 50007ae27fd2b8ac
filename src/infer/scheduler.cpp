#include "infer/scheduler.h"

#include <algorithm>
#include <span>

#include "base/error.h"

namespace tigerbot {
namespace {

/// Whether a is to be computed before b.
bool ranks_above(const Sequence* a, const Sequence* b) {
  return a->priority != b->priority ? a->priority > b->priority : a->arrival < b->arrival;
}

}  // namespace

Scheduler::Scheduler(const SchedulerOptions& options)
    : options_(options), allocator_(options.num_blocks), prefixes_(allocator_) {
  if (options.block_size < 1 || options.prefill_chunk < 1 || options.max_sequences < 1) {
    fail_internal("a block, a chunk and the sequences together must be at least 1");
  }
}

void Scheduler::add(Sequence& sequence) {
  sequence.arrival = arrivals_++;
  waiting_.push_back(&sequence);
  share_.enter(sequence.client);
}

void Scheduler::fork(const Sequence& original, Sequence& copy) {
  add(copy);
  copy.keys = original.keys;
  copy.begun = true;
  copy.prefix_hits = original.cached;
  if (static_cast<std::int64_t>(running_.size()) >= options_.max_sequences) return;
  waiting_.pop_back();
  copy.cached = original.cached;
  copy.blocks = original.blocks;
  for (const std::int32_t block : copy.blocks) allocator_.share(block);
  copy.running = true;
  running_.push_back(&copy);
}

void Scheduler::remove(Sequence& sequence) {
  release(sequence);
  std::erase(sequence.running ? running_ : waiting_, &sequence);
  sequence.running = false;
  share_.leave(sequence.client);
}

void Scheduler::release(Sequence& sequence) {
  // The last block first, so that beginnings, which others may share, are kept longest.
  for (auto block = sequence.blocks.rbegin(); block != sequence.blocks.rend(); ++block) {
    allocator_.release(*block);
  }
  sequence.blocks.clear();
  sequence.cached = 0;
  sequence.step = 0;
}

void Scheduler::preempt(Sequence& sequence) {
  ++preemptions_;
  release(sequence);
  std::erase(running_, &sequence);
  sequence.running = false;
  waiting_.push_back(&sequence);
}

Sequence* Scheduler::last_in_rank() const {
  const auto last = std::max_element(running_.begin(), running_.end(), ranks_above);
  return last == running_.end() ? nullptr : *last;
}

void Scheduler::update_keys(Sequence& sequence, std::int64_t tokens) const {
  const auto size = static_cast<std::size_t>(options_.block_size);
  const std::size_t full = static_cast<std::size_t>(tokens) / size;
  while (sequence.keys.size() < full) {
    const std::size_t i = sequence.keys.size();
    sequence.keys.push_back(
        prefix_key(i == 0 ? sequence.salt : sequence.keys.back(),
                   std::span<const TokenId>(sequence.tokens).subspan(i * size, size)));
  }
}

/// Gives a waiting sequence blocks for all its tokens, if there are enough.
bool Scheduler::place(Sequence& sequence) {
  const auto tokens = static_cast<std::int64_t>(sequence.tokens.size());
  std::span<const PrefixKey> keys;
  if (options_.prefix_cache && sequence.reuses_prefix) {
    // The last token is always computed: its hidden state says what comes next.
    update_keys(sequence, tokens - 1);
    keys = std::span<const PrefixKey>(sequence.keys)
               .first(static_cast<std::size_t>((tokens - 1) / options_.block_size));
  }
  // Those that run may each want one more block before long.
  const auto reserve = static_cast<std::int64_t>(running_.size());
  const std::int64_t found = prefixes_.count(keys);
  std::vector<std::int32_t> blocks = prefixes_.take(keys);  // first, so that none is evicted
  if (blocks_for(tokens) - found + reserve > allocator_.free_blocks()) {
    for (auto block = blocks.rbegin(); block != blocks.rend(); ++block) allocator_.release(*block);
    return false;
  }
  while (static_cast<std::int64_t>(blocks.size()) < blocks_for(tokens)) {
    blocks.push_back(allocator_.allocate());
  }
  sequence.blocks = std::move(blocks);
  sequence.cached = found * options_.block_size;
  if (!sequence.begun) sequence.prefix_hits = sequence.cached;
  sequence.begun = true;
  sequence.running = true;
  return true;
}

void Scheduler::admit() {
  while (!waiting_.empty()) {
    const bool seat = static_cast<std::int64_t>(running_.size()) < options_.max_sequences;
    if (!seat) {
      const auto lower = [](const Sequence* a, const Sequence* b) {
        return a->priority < b->priority;
      };
      if ((*std::max_element(waiting_.begin(), waiting_.end(), lower))->priority <=
          (*std::min_element(running_.begin(), running_.end(), lower))->priority) {
        return;
      }
    }
    const auto next = std::min_element(
        waiting_.begin(), waiting_.end(), [this](const Sequence* a, const Sequence* b) {
          if (a->priority != b->priority) return a->priority > b->priority;
          if (a->begun != b->begun) return a->begun;
          const std::int64_t a_served = share_.served(a->client);
          const std::int64_t b_served = share_.served(b->client);
          return a_served != b_served ? a_served < b_served : a->arrival < b->arrival;
        });
    Sequence& sequence = **next;
    const bool first = !sequence.begun;
    if (seat && place(sequence)) {
      waiting_.erase(next);
      running_.push_back(&sequence);
      if (first) share_.charge(sequence.client, sequence.pending());
      continue;
    }
    // A higher priority does not wait for a lower one.
    Sequence* last = last_in_rank();
    if (last == nullptr || last->priority >= sequence.priority) return;
    preempt(*last);
  }
}

/// Makes sure that what the step stores has blocks of its own. False where `sequence` itself had to
/// go.
bool Scheduler::make_room(Sequence& sequence, StepPlan& plan) {
  const auto drafted = static_cast<std::int64_t>(sequence.draft.size());
  sequence.drafts = drafted > 0 && sequence.completes();
  const std::int64_t end = sequence.cached + sequence.step + (sequence.drafts ? drafted : 0);
  const auto allocate = [&] {
    while (allocator_.free_blocks() == 0) {
      Sequence* last = last_in_rank();
      preempt(*last);
      if (last == &sequence) return false;
    }
    return true;
  };
  while (static_cast<std::int64_t>(sequence.blocks.size()) < blocks_for(end)) {
    if (!allocate()) return false;
    sequence.blocks.push_back(allocator_.allocate());
  }
  for (std::int64_t i = sequence.cached / options_.block_size; i < blocks_for(end); ++i) {
    const std::int32_t shared = sequence.blocks[static_cast<std::size_t>(i)];
    if (allocator_.holders(shared) == 1) continue;
    if (!allocate()) return false;
    if (allocator_.holders(shared) == 1) continue;  // whoever shared it had to go
    const std::int32_t own = allocator_.allocate();
    if (sequence.cached > i * options_.block_size) plan.copies.emplace_back(shared, own);
    allocator_.release(shared);
    sequence.blocks[static_cast<std::size_t>(i)] = own;
  }
  return true;
}

StepPlan Scheduler::plan() {
  admit();
  StepPlan plan;
  std::vector<Sequence*> order = running_;
  std::sort(order.begin(), order.end(), ranks_above);
  std::int64_t budget = options_.prefill_chunk;
  for (Sequence* sequence : order) {
    if (!sequence->running) continue;  // put off meanwhile
    sequence->step = 1;
    if (sequence->pending() > 1) {
      sequence->step = std::min(budget, sequence->pending());
      if (sequence->step == 0) continue;
    }
    const bool prompt = sequence->pending() > 1;
    if (!make_room(*sequence, plan)) continue;
    if (prompt) budget -= sequence->step;
    plan.parts.push_back(sequence);
  }
  return plan;
}

void Scheduler::stored(Sequence& sequence, std::int64_t count) {
  share_.charge(sequence.client, 1);
  sequence.cached += count;
  sequence.step = 0;
  if (!options_.prefix_cache) return;
  const std::size_t known =
      static_cast<std::size_t>((sequence.cached - count) / options_.block_size);
  update_keys(sequence, sequence.cached);
  const std::size_t full = static_cast<std::size_t>(sequence.cached / options_.block_size);
  for (std::size_t i = known; i < full; ++i) prefixes_.insert(sequence.keys[i], sequence.blocks[i]);
}

}  // namespace tigerbot
