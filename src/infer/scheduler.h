#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "infer/block_allocator.h"
#include "infer/fair_share.h"
#include "infer/prefix_cache.h"
#include "tokenizer/tokenizer.h"

namespace tigerbot {

/// A row of tokens as the scheduler sees it: which are stored in the cache, and where.
struct Sequence {
  // Set by who adds it
  std::vector<TokenId> tokens;  ///< the prompt and the answer so far
  std::int64_t priority = 0;
  std::string client;
  /// What keys and values depend on besides the tokens (adapter, rotary scale).
  PrefixKey salt;
  /// Whether it may begin with blocks that others have computed.
  bool reuses_prefix = true;
  /// Tokens that it guesses will follow, to be computed in the same step.
  std::vector<TokenId> draft;

  // Kept by the scheduler
  std::int64_t arrival = 0;
  std::int64_t cached = 0;  ///< tokens whose keys and values are stored
  std::int64_t step = 0;    ///< tokens that the present step computes, the draft not counted
  bool drafts = false;      ///< whether the present step computes the draft too
  std::vector<std::int32_t> blocks;
  std::vector<PrefixKey> keys;   ///< of its full blocks, as far as they are known
  std::int64_t prefix_hits = 0;  ///< tokens that the cache had when it began first
  bool begun = false;            ///< it has run before
  bool running = false;

  std::int64_t pending() const { return static_cast<std::int64_t>(tokens.size()) - cached; }
  /// Whether the present step computes its last token, so that the next can be drawn.
  bool completes() const { return step == pending(); }
};

struct SchedulerOptions {
  std::int64_t num_blocks = 1;
  std::int64_t block_size = 32;
  std::int64_t prefill_chunk = 512;  ///< tokens of prompts that a step computes
  std::int64_t max_sequences = 64;   ///< that run together
  bool prefix_cache = true;
};

/// What a step computes.
struct StepPlan {
  std::vector<Sequence*> parts;
  /// Blocks to be copied first, one after the other: from, to.
  std::vector<std::pair<std::int32_t, std::int32_t>> copies;
};

/// Decides what each step of a model computes: the next token of every running sequence, and up to
/// a chunk of the prompts. A sequence is admitted when the cache has blocks for what it has to
/// compute, and grows block by block; when blocks run out, the last in rank is put off: its blocks
/// go to others and it is computed again later. Rank is priority, then arrival; among those who
/// wait at one priority, whose client has had least goes first. Sequences belong to the caller.
class Scheduler {
 public:
  explicit Scheduler(const SchedulerOptions& options);

  /// A new sequence waits.
  void add(Sequence& sequence);
  /// `copy` is a new sequence with the tokens of `original`, and shares its blocks where there is a
  /// place to run; else it waits.
  void fork(const Sequence& original, Sequence& copy);
  /// It ends, wherever it stands; its blocks are free.
  void remove(Sequence& sequence);

  /// What the next step computes; empty when nothing is left to do.
  StepPlan plan();
  /// The step has stored `count` tokens of a part of its plan.
  void stored(Sequence& sequence, std::int64_t count);

  const std::vector<Sequence*>& running() const { return running_; }
  const std::vector<Sequence*>& waiting() const { return waiting_; }
  const BlockAllocator& allocator() const { return allocator_; }
  std::int64_t blocks_for(std::int64_t tokens) const {
    return (tokens + options_.block_size - 1) / options_.block_size;
  }
  std::int64_t preemptions() const { return preemptions_; }

 private:
  void admit();
  bool place(Sequence& sequence);
  bool make_room(Sequence& sequence, StepPlan& plan);
  void preempt(Sequence& sequence);
  void release(Sequence& sequence);
  Sequence* last_in_rank() const;
  void update_keys(Sequence& sequence, std::int64_t tokens) const;

  SchedulerOptions options_;
  BlockAllocator allocator_;
  PrefixCache prefixes_;
  FairShare share_;
  std::vector<Sequence*> waiting_;
  std::vector<Sequence*> running_;
  std::int64_t arrivals_ = 0;
  std::int64_t preemptions_ = 0;
};

}  // namespace tigerbot
