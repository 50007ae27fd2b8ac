// Without the C++ bindings of MPI 2, which Debian has no library of.
#define OMPI_SKIP_MPICXX 1
#include <mpi.h>

#include <cstdlib>
#include <limits>

#include "base/error.h"
#include "parallel/communicator.h"

namespace tigerbot {
namespace {

void check(int status, const char* call) {
  if (status == MPI_SUCCESS) return;
  char text[MPI_MAX_ERROR_STRING];
  int length = 0;
  MPI_Error_string(status, text, &length);
  fail_internal("MPI: {} failed: {}", call, std::string(text, static_cast<std::size_t>(length)));
}

/// The variables that mpirun (Open MPI, MPICH) and srun give every process they start.
bool started_by_launcher() {
  for (const char* name : {"OMPI_COMM_WORLD_SIZE", "PMIX_RANK", "PMI_RANK", "PMI_SIZE"}) {
    if (std::getenv(name) != nullptr) return true;
  }
  return false;
}

class MpiCommunicator final : public Communicator {
 public:
  MpiCommunicator() {
    int provided = 0;
    check(MPI_Init_thread(nullptr, nullptr, MPI_THREAD_SERIALIZED, &provided), "MPI_Init_thread");
    if (provided < MPI_THREAD_SERIALIZED)
      fail_internal("MPI: this build gives no thread support (MPI_THREAD_SERIALIZED)");
    MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN);
    check(MPI_Comm_rank(MPI_COMM_WORLD, &rank_), "MPI_Comm_rank");
    check(MPI_Comm_size(MPI_COMM_WORLD, &size_), "MPI_Comm_size");
  }
  // A rank that leaves by an error must not wait for the others in MPI_Finalize: exit() in
  // world() handles both ways out.
  ~MpiCommunicator() override = default;

  int rank() const override { return rank_; }
  int size() const override { return size_; }
  void barrier() override { check(MPI_Barrier(MPI_COMM_WORLD), "MPI_Barrier"); }

  void all_reduce_sum(std::span<std::uint64_t> values) override {
    check(MPI_Allreduce(MPI_IN_PLACE, values.data(), count_of(values.size()), MPI_UINT64_T, MPI_SUM,
                        MPI_COMM_WORLD),
          "MPI_Allreduce");
  }

  std::vector<std::string> all_gather(const std::string& bytes) override {
    const auto ranks = static_cast<std::size_t>(size_);
    const int mine = count_of(bytes.size());
    std::vector<int> sizes(ranks), starts(ranks);
    check(MPI_Allgather(&mine, 1, MPI_INT, sizes.data(), 1, MPI_INT, MPI_COMM_WORLD),
          "MPI_Allgather");
    std::size_t total = 0;
    for (std::size_t k = 0; k < ranks; ++k) {
      starts[k] = count_of(total);
      total += static_cast<std::size_t>(sizes[k]);
    }
    std::string all(total, '\0');
    check(MPI_Allgatherv(bytes.data(), mine, MPI_BYTE, all.data(), sizes.data(), starts.data(),
                         MPI_BYTE, MPI_COMM_WORLD),
          "MPI_Allgatherv");
    std::vector<std::string> parts(ranks);
    for (std::size_t k = 0; k < ranks; ++k)
      parts[k] =
          all.substr(static_cast<std::size_t>(starts[k]), static_cast<std::size_t>(sizes[k]));
    return parts;
  }

 private:
  static int count_of(std::size_t size) {
    if (size > static_cast<std::size_t>(std::numeric_limits<int>::max()))
      fail_internal("MPI: a message of {} bytes is more than one call can carry", size);
    return static_cast<int>(size);
  }

  int rank_ = 0, size_ = 1;
};

void finalize() {
  int initialized = 0, finalized = 0;
  MPI_Initialized(&initialized);
  MPI_Finalized(&finalized);
  if (initialized != 0 && finalized == 0) MPI_Finalize();
}

std::unique_ptr<Communicator> make_world() {
  if (!started_by_launcher()) return make_solo_communicator();
  auto communicator = std::make_unique<MpiCommunicator>();
  std::atexit(finalize);
  return communicator;
}

}  // namespace

Communicator& world() {
  static const std::unique_ptr<Communicator> communicator = make_world();
  return *communicator;
}

}  // namespace tigerbot
