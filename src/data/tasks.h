#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>

#include "parallel/communicator.h"

/// Work over ranks and threads whose result does not depend on who did it: each task leaves one
/// file that appears whole or not at all, so a run that was killed goes on with the tasks that have
/// left none.
namespace tigerbot::data {

/// Runs task(k) for every k below `count` for which done(k) is false, over all ranks and `threads`
/// threads of each, then waits until all ranks are through. done() is asked on rank 0 alone, before
/// any task runs. Tasks of one rank start in the order of k. An error ends the call on every rank:
/// tasks that run are finished, no others start, and each rank throws the same Error (the lowest
/// rank's). Every rank must call it with the same arguments. `weights` says how long each task
/// takes beside the others, where that is known: the ranks' shares are then about equal in weight
/// and not in number.
void run_tasks(Communicator& communicator, int threads, std::size_t count,
               const std::function<bool(std::size_t)>& done,
               const std::function<void(std::size_t)>& task,
               std::span<const std::uint64_t> weights = {});

/// Runs `step` on this rank and waits for the others; if it failed anywhere, every rank throws the
/// same Error (the lowest rank's). A step that only one rank does is a lambda that looks at rank().
void run_together(Communicator& communicator, const std::function<void()>& step);

/// The bytes that rank 0 has, on every rank.
std::string from_first_rank(Communicator& communicator, const std::string& bytes);

/// `threads`, or one for each core where it is 0.
int thread_count(int threads);

}  // namespace tigerbot::data
