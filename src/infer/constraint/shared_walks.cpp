#include "infer/constraint/shared_walks.h"

namespace tigerbot::constraint {

std::shared_ptr<const HeadWalk> SharedWalks::find(const std::string& key) const {
  const std::scoped_lock lock(mutex_);
  const auto found = walks_.find(key);
  return found == walks_.end() ? nullptr : found->second;
}

void SharedWalks::insert(const std::string& key, std::shared_ptr<const HeadWalk> walk) {
  const std::scoped_lock lock(mutex_);
  const std::size_t bytes = key.size() + walk->bytes();
  if (bytes_ + bytes > kMaxBytes) {
    walks_.clear();
    bytes_ = 0;
  }
  if (walks_.emplace(key, std::move(walk)).second) bytes_ += bytes;
}

}  // namespace tigerbot::constraint
