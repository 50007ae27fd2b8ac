#pragma once

#include <ATen/Parallel.h>
#include <omp.h>
#include <sched.h>

#include <atomic>
#include <cstdint>
#include <vector>

/// Threads that go through many short phases together. Starting a parallel region for each of the
/// hundreds of phases of a decode step would cost more than some of the phases.
namespace tigerbot::cpu {

class Crew;

/// One thread of a crew, and how many phases it has been through.
class CrewMember {
 public:
  CrewMember(Crew& crew, int index) : crew_(crew), index_(index) {}

  int index() const { return index_; }

  /// fn(unit) for every unit of [0, units), shared among the crew: each takes the next when it is
  /// done with its last. Returns when all units are done. All members call it alike.
  template <class Function>
  void phase(std::int64_t units, const Function& fn);

 private:
  Crew& crew_;
  int index_;
  std::size_t phase_ = 0;
};

class Crew {
 public:
  /// Runs work(member) on each of ATen's threads, for at most `phases` phases.
  template <class Function>
  static void run(std::size_t phases, const Function& work) {
    Crew crew(phases);
    const int wanted = at::in_parallel_region() ? 1 : at::get_num_threads();
    if (wanted == 1) {
      CrewMember member(crew, 0);
      work(member);
      return;
    }
#pragma omp parallel num_threads(wanted)
    {
#pragma omp single
      crew.size_ = omp_get_num_threads();
      CrewMember member(crew, omp_get_thread_num());
      work(member);
    }
  }

  int size() const { return size_; }

 private:
  friend class CrewMember;

  struct alignas(64) Counter {
    std::atomic<std::int64_t> next{0};
  };

  explicit Crew(std::size_t phases) : counters_(phases) {}

  /// Waits until every member is here: spinning, since phases last microseconds, but giving the
  /// processor away before long, since there may be more threads than processors.
  void meet() {
    if (size_ == 1) return;
    const int generation = generation_.load(std::memory_order_acquire);
    if (arrived_.fetch_add(1, std::memory_order_acq_rel) + 1 == size_) {
      arrived_.store(0, std::memory_order_relaxed);
      generation_.store(generation + 1, std::memory_order_release);
      return;
    }
    constexpr int kSpins = 4000;
    for (int spins = 0; generation_.load(std::memory_order_acquire) == generation; ++spins) {
      if (spins < kSpins) {
        __builtin_ia32_pause();
      } else {
        sched_yield();
      }
    }
  }

  int size_ = 1;
  alignas(64) std::atomic<int> arrived_{0};
  alignas(64) std::atomic<int> generation_{0};
  std::vector<Counter> counters_;
};

template <class Function>
void CrewMember::phase(std::int64_t units, const Function& fn) {
  std::atomic<std::int64_t>& next = crew_.counters_.at(phase_++).next;
  for (std::int64_t unit = next.fetch_add(1, std::memory_order_relaxed); unit < units;
       unit = next.fetch_add(1, std::memory_order_relaxed)) {
    fn(unit);
  }
  crew_.meet();
}

}  // namespace tigerbot::cpu
