#include "parallel/communicator.h"

namespace tigerbot {
namespace {

class SoloCommunicator final : public Communicator {
 public:
  int rank() const override { return 0; }
  int size() const override { return 1; }
  void barrier() override {}
  void all_reduce_sum(std::span<std::uint64_t>) override {}
  std::vector<std::string> all_gather(const std::string& bytes) override { return {bytes}; }
};

}  // namespace

std::unique_ptr<Communicator> make_solo_communicator() {
  return std::make_unique<SoloCommunicator>();
}

}  // namespace tigerbot
