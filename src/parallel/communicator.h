#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace tigerbot {

/// A group of processes that run the same program. One process is a group of one: no caller asks.
class Communicator {
 public:
  virtual ~Communicator() = default;
  virtual int rank() const = 0;
  virtual int size() const = 0;
  virtual void barrier() = 0;
  /// Sums element by element over all ranks, in place, in an order that does not depend on timing.
  virtual void all_reduce_sum(std::span<std::uint64_t> values) = 0;
  /// Every rank's bytes, in the order of the ranks.
  virtual std::vector<std::string> all_gather(const std::string& bytes) = 0;
};

/// The group of one.
std::unique_ptr<Communicator> make_solo_communicator();

/// All ranks of this run: MPI's world under mpirun or srun, else the group of one. MPI starts at
/// the first call and ends with the process.
Communicator& world();

}  // namespace tigerbot
