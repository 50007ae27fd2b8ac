#include "data/pipeline/work_folder.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <utility>
#include <vector>

#include "base/files.h"

namespace tigerbot::data {

namespace fs = std::filesystem;

WorkFolder::WorkFolder(fs::path output) : output_(std::move(output)), work_(output_ / "work") {}

fs::path WorkFolder::of_unit(const Unit& unit, std::string_view what) const {
  return work_ / "units" / fmt::format("{}.{}", unit.key.hex(), what);
}

fs::path WorkFolder::of_step(std::string_view name, const Hash128& key) const {
  return work_ / fmt::format("{}-{}", name, key.hex().substr(0, 16));
}

bool WorkFolder::is_locked() const {
  const int descriptor = ::open(lock().c_str(), O_RDWR | O_CLOEXEC);
  if (descriptor < 0) return false;  // nobody has been here
  const bool locked = ::flock(descriptor, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK;
  ::close(descriptor);
  return locked;
}

void WorkFolder::remove_partial_files() const {
  std::error_code ignored;
  std::vector<fs::path> partial;
  for (const auto& entry : fs::directory_iterator(output_, ignored))
    if (entry.path().filename().string().find(".partial-") != std::string::npos)
      partial.push_back(entry.path());
  for (const auto& entry : fs::recursive_directory_iterator(work_, ignored))
    if (entry.path().filename().string().find(".partial-") != std::string::npos)
      partial.push_back(entry.path());
  for (const fs::path& path : partial) fs::remove_all(path, ignored);
}

}  // namespace tigerbot::data
