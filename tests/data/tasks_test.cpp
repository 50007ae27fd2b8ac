#include "data/tasks.h"

#include <gtest/gtest.h>

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "base/error.h"
#include "base/expect_error.h"

namespace tigerbot::data {
namespace {

TEST(RunTasks, EveryOpenTaskRunsOnceOnAnyNumberOfThreads) {
  const auto solo = make_solo_communicator();
  for (int threads : {1, 2, 5}) {
    std::vector<std::atomic<int>> runs(100);
    run_tasks(
        *solo, threads, runs.size(), [](std::size_t k) { return k % 3 == 0; },
        [&](std::size_t k) { ++runs[k]; });
    for (std::size_t k = 0; k < runs.size(); ++k) EXPECT_EQ(runs[k], k % 3 == 0 ? 0 : 1) << k;
  }
}

TEST(RunTasks, AnErrorEndsTheRunAndKeepsItsKind) {
  const auto solo = make_solo_communicator();
  for (const int threads : {1, 2}) {
    std::atomic<int> ran{0};
    try {
      run_tasks(
          *solo, threads, 1000, [](std::size_t) { return false; },
          [&](std::size_t k) {
            ++ran;
            if (k == 5) fail_internal("part 5 is broken");
          });
      FAIL() << "no error";
    } catch (const Error& error) {
      EXPECT_STREQ(error.what(), "part 5 is broken");
      EXPECT_EQ(error.kind(), Error::Kind::kFailure);
    }
    // Another thread may have run the rest before the error was seen; one thread cannot have.
    if (threads == 1) {
      EXPECT_EQ(ran, 6);
    }
  }
}

/// Two ranks in one process: a thread each, meeting at a gather.
class Pair {
 public:
  class Rank final : public Communicator {
   public:
    Rank(Pair& pair, int rank) : pair_(pair), rank_(rank) {}
    int rank() const override { return rank_; }
    int size() const override { return 2; }
    void barrier() override { all_gather(""); }
    void all_reduce_sum(std::span<std::uint64_t>) override {}
    std::vector<std::string> all_gather(const std::string& bytes) override {
      std::unique_lock lock(pair_.mutex_);
      const int turn = pair_.turn_;
      pair_.slots_[rank_] = bytes;
      if (++pair_.here_ == 2) {
        pair_.result_ = {pair_.slots_[0], pair_.slots_[1]};
        pair_.here_ = 0;
        ++pair_.turn_;
        pair_.meeting_.notify_all();
      } else {
        pair_.meeting_.wait(lock, [&] { return pair_.turn_ != turn; });
      }
      return pair_.result_;
    }

   private:
    Pair& pair_;
    int rank_;
  };

 private:
  friend class Rank;
  std::mutex mutex_;
  std::condition_variable meeting_;
  std::string slots_[2];
  std::vector<std::string> result_;
  int here_ = 0, turn_ = 0;
};

TEST(RunTasks, RanksShareTheTasksAndTheErrors) {
  Pair pair;
  std::vector<std::atomic<int>> runs(50);
  std::string errors[2];
  const auto rank_main = [&](int rank) {
    Pair::Rank communicator(pair, rank);
    run_tasks(
        communicator, 2, runs.size(), [](std::size_t) { return false; },
        [&](std::size_t k) { ++runs[k]; });
    errors[rank] = testing::error_of([&] {
      run_tasks(
          communicator, 2, 10, [](std::size_t) { return false; },
          [&](std::size_t k) {
            if (k == 3) fail("row 3 is bad");
          });
    });
  };
  std::thread other(rank_main, 1);
  rank_main(0);
  other.join();
  for (std::size_t k = 0; k < runs.size(); ++k) EXPECT_EQ(runs[k], 1) << k;
  EXPECT_EQ(errors[0], "row 3 is bad");
  EXPECT_EQ(errors[1], "row 3 is bad");
}

TEST(RunTasks, RanksGetSharesOfEqualWeight) {
  Pair pair;
  const std::vector<std::uint64_t> weights{10, 20, 60, 10, 20};  // 60 and what is left
  std::set<std::size_t> tasks[2];
  const auto rank_main = [&](int rank) {
    Pair::Rank communicator(pair, rank);
    run_tasks(
        communicator, 1, weights.size(), [](std::size_t) { return false; },
        [&](std::size_t k) { tasks[rank].insert(k); }, weights);
  };
  std::thread other(rank_main, 1);
  rank_main(0);
  other.join();
  EXPECT_EQ(tasks[0], (std::set<std::size_t>{2}));
  EXPECT_EQ(tasks[1], (std::set<std::size_t>{0, 1, 3, 4}));
}

}  // namespace
}  // namespace tigerbot::data
