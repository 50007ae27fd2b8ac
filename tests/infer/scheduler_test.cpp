#include "infer/scheduler.h"

#include <gtest/gtest.h>

#include <memory>
#include <numeric>

namespace tigerbot {
namespace {

std::unique_ptr<Sequence> sequence_of(std::int64_t tokens, TokenId first = 0,
                                      std::int64_t priority = 0, const std::string& client = {}) {
  auto sequence = std::make_unique<Sequence>();
  sequence->tokens.resize(static_cast<std::size_t>(tokens));
  std::iota(sequence->tokens.begin(), sequence->tokens.end(), first);
  sequence->priority = priority;
  sequence->client = client;
  return sequence;
}

/// Does what a model would: stores the step, and adds a token where one was drawn.
StepPlan run_step(Scheduler& scheduler) {
  StepPlan plan = scheduler.plan();
  for (Sequence* part : plan.parts) {
    const bool draws = part->completes();
    scheduler.stored(*part, part->step);
    if (draws) part->tokens.push_back(7);
  }
  return plan;
}

TEST(Scheduler, MixesDecodeAndAChunkOfPrompts) {
  Scheduler scheduler({.num_blocks = 100, .block_size = 4, .prefill_chunk = 10});
  const auto a = sequence_of(5);
  scheduler.add(*a);
  run_step(scheduler);
  EXPECT_EQ(a->pending(), 1);
  const auto b = sequence_of(18, 100);
  const auto c = sequence_of(18, 200);
  scheduler.add(*b);
  scheduler.add(*c);
  StepPlan plan = scheduler.plan();
  EXPECT_EQ(plan.parts, (std::vector<Sequence*>{a.get(), b.get()}));
  EXPECT_EQ(a->step, 1);
  EXPECT_EQ(b->step, 10);
  EXPECT_FALSE(b->completes());
  for (Sequence* part : plan.parts) scheduler.stored(*part, part->step);
  a->tokens.push_back(1);
  plan = scheduler.plan();
  EXPECT_EQ(plan.parts.size(), 3U);
  EXPECT_EQ(b->step, 8);
  EXPECT_TRUE(b->completes());
  EXPECT_EQ(c->step, 2);
}

TEST(Scheduler, AdmitsByFreeBlocksAndGrowsBlockByBlock) {
  Scheduler scheduler({.num_blocks = 4, .block_size = 4, .prefill_chunk = 100});
  const auto a = sequence_of(8);
  const auto b = sequence_of(8, 100);
  scheduler.add(*a);
  scheduler.add(*b);
  run_step(scheduler);
  // b's two blocks are there, but a will want another.
  EXPECT_EQ(scheduler.running(), (std::vector<Sequence*>{a.get()}));
  EXPECT_EQ(a->blocks.size(), 2U);
  run_step(scheduler);
  EXPECT_EQ(a->blocks.size(), 3U);
  scheduler.remove(*a);
  EXPECT_EQ(scheduler.allocator().free_blocks(), 4);
  run_step(scheduler);
  EXPECT_EQ(scheduler.running(), (std::vector<Sequence*>{b.get()}));
}

TEST(Scheduler, PutsTheLastInRankOffWhenBlocksRunOut) {
  Scheduler scheduler({.num_blocks = 4, .block_size = 4, .prefix_cache = false});
  const auto a = sequence_of(3);
  const auto b = sequence_of(3, 100);
  scheduler.add(*a);
  scheduler.add(*b);
  run_step(scheduler);
  EXPECT_EQ(scheduler.running().size(), 2U);
  for (int i = 0; i < 5; ++i) run_step(scheduler);
  EXPECT_EQ(scheduler.preemptions(), 0);
  EXPECT_EQ(a->cached, 8);
  run_step(scheduler);
  EXPECT_EQ(scheduler.preemptions(), 1);
  EXPECT_TRUE(a->running);
  EXPECT_FALSE(b->running);
  EXPECT_EQ(b->cached, 0);
  EXPECT_EQ(b->pending(), 9);  // its prompt and its answer so far, to be computed again
  scheduler.remove(*a);
  const StepPlan plan = run_step(scheduler);
  EXPECT_EQ(plan.parts, (std::vector<Sequence*>{b.get()}));
  EXPECT_EQ(b->cached, 9);
}

TEST(Scheduler, AHigherPriorityPutsALowerOneOff) {
  Scheduler scheduler({.num_blocks = 100, .block_size = 4, .max_sequences = 1});
  const auto low = sequence_of(3);
  const auto same = sequence_of(3, 50);
  const auto high = sequence_of(3, 100, 1);
  scheduler.add(*low);
  run_step(scheduler);
  scheduler.add(*same);
  run_step(scheduler);
  EXPECT_TRUE(low->running);
  scheduler.add(*high);
  run_step(scheduler);
  EXPECT_TRUE(high->running);
  EXPECT_FALSE(low->running);
  scheduler.remove(*high);
  run_step(scheduler);
  EXPECT_TRUE(low->running);  // before `same`, which has not begun
}

TEST(Scheduler, ClientsTakeTurns) {
  Scheduler scheduler({.num_blocks = 100, .block_size = 4, .max_sequences = 1});
  std::vector<std::unique_ptr<Sequence>> all;
  for (int i = 0; i < 3; ++i) all.push_back(sequence_of(10, 100 * i, 0, "many"));
  all.push_back(sequence_of(10, 900, 0, "one"));
  for (const auto& sequence : all) scheduler.add(*sequence);
  std::vector<std::string> order;
  for (int i = 0; i < 4; ++i) {
    const StepPlan plan = run_step(scheduler);
    ASSERT_EQ(plan.parts.size(), 1U);
    order.push_back(plan.parts[0]->client);
    scheduler.remove(*plan.parts[0]);
  }
  EXPECT_EQ(order, (std::vector<std::string>{"many", "one", "many", "many"}));
}

TEST(Scheduler, PromptsThatBeginAlikeShareBlocks) {
  Scheduler scheduler({.num_blocks = 100, .block_size = 4});
  const auto a = sequence_of(10);
  scheduler.add(*a);
  run_step(scheduler);
  const auto b = sequence_of(10);
  const auto other_salt = sequence_of(10);
  other_salt->salt = "adapter";
  const auto alone = sequence_of(10);
  alone->reuses_prefix = false;
  scheduler.add(*b);
  scheduler.add(*other_salt);
  scheduler.add(*alone);
  scheduler.plan();
  EXPECT_EQ(b->prefix_hits, 8);
  EXPECT_EQ(b->step, 2);
  EXPECT_EQ(b->blocks[1], a->blocks[1]);
  EXPECT_NE(b->blocks[2], a->blocks[2]);
  EXPECT_EQ(other_salt->prefix_hits, 0);
  EXPECT_EQ(alone->prefix_hits, 0);
}

TEST(Scheduler, ABlockOfAPromptThatIsAllThereIsComputedAgain) {
  Scheduler scheduler({.num_blocks = 100, .block_size = 4});
  const auto a = sequence_of(8);
  scheduler.add(*a);
  run_step(scheduler);
  scheduler.remove(*a);
  const auto b = sequence_of(8);
  scheduler.add(*b);
  scheduler.plan();
  EXPECT_EQ(b->prefix_hits, 4);  // the last token says what comes next
  EXPECT_EQ(b->step, 4);
}

TEST(Scheduler, ForksCopyABlockWhenTheyWriteIt) {
  Scheduler scheduler({.num_blocks = 100, .block_size = 4, .max_sequences = 2});
  const auto a = sequence_of(6);
  scheduler.add(*a);
  StepPlan plan = scheduler.plan();
  scheduler.stored(*a, 6);
  const auto b = sequence_of(6);
  const auto c = sequence_of(6);
  scheduler.fork(*a, *b);
  scheduler.fork(*a, *c);  // no place to run: waits
  EXPECT_TRUE(b->running);
  EXPECT_FALSE(c->running);
  EXPECT_EQ(b->blocks, a->blocks);
  for (const auto& sequence : {a.get(), b.get(), c.get()}) sequence->tokens.push_back(9);
  const std::vector<std::int32_t> before = a->blocks;
  plan = scheduler.plan();
  ASSERT_EQ(plan.copies.size(), 1U);
  EXPECT_EQ(plan.copies[0].first, before[1]);
  EXPECT_EQ(plan.copies[0].second, a->blocks[1]);
  EXPECT_EQ(b->blocks, before);  // the last holder writes where it is
  EXPECT_EQ(a->blocks[0], b->blocks[0]);
  for (Sequence* part : plan.parts) scheduler.stored(*part, 1);
  scheduler.remove(*a);
  scheduler.remove(*b);
  plan = scheduler.plan();
  EXPECT_EQ(c->step, 3);  // a full block was there
}

TEST(Scheduler, NothingIsLostOverManyRandomSteps) {
  Scheduler scheduler({.num_blocks = 24, .block_size = 4, .prefill_chunk = 9, .max_sequences = 6});
  std::vector<std::unique_ptr<Sequence>> all;
  std::uint32_t random = 1;
  const auto next = [&](std::uint32_t bound) {
    random = random * 1664525 + 1013904223;
    return static_cast<std::int64_t>((random >> 8) % bound);
  };
  std::int64_t ended = 0;
  for (int i = 0; i < 3000; ++i) {
    if (i < 2000 && next(3) == 0) {
      all.push_back(sequence_of(1 + next(30), static_cast<TokenId>(10 * next(3)), next(3),
                                std::string(1, static_cast<char>('a' + next(3)))));
      scheduler.add(*all.back());
    }
    const StepPlan plan = run_step(scheduler);
    for (Sequence* part : plan.parts) {
      if (part->running && part->tokens.size() >= 40 + static_cast<std::size_t>(next(40))) {
        scheduler.remove(*part);
        ++ended;
      }
    }
    // Every block of a running sequence is held by as many as have it.
    std::vector<std::int64_t> holders(24, 0);
    for (const Sequence* sequence : scheduler.running()) {
      EXPECT_GE(std::ssize(sequence->blocks) * 4, sequence->cached);
      for (const std::int32_t block : sequence->blocks) ++holders[static_cast<std::size_t>(block)];
    }
    std::int64_t held = 0;
    for (std::int32_t block = 0; block < 24; ++block) {
      ASSERT_EQ(scheduler.allocator().holders(block), holders[static_cast<std::size_t>(block)]);
      held += holders[static_cast<std::size_t>(block)] > 0;
    }
    ASSERT_EQ(scheduler.allocator().free_blocks(), 24 - held);
  }
  EXPECT_GT(scheduler.preemptions(), 0);
  for (int i = 0; i < 20000 && !(scheduler.running().empty() && scheduler.waiting().empty()); ++i) {
    for (Sequence* part : run_step(scheduler).parts) {
      if (part->running && part->tokens.size() >= 60) {
        scheduler.remove(*part);
        ++ended;
      }
    }
  }
  EXPECT_EQ(ended, std::ssize(all));
  EXPECT_EQ(scheduler.allocator().free_blocks(), 24);
}

}  // namespace
}  // namespace tigerbot
