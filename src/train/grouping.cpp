#include "train/grouping.h"

#include <algorithm>
#include <bit>
#include <numeric>

#include "base/error.h"
#include "base/random.h"

namespace tigerbot::train {
namespace {

/// A tree over groups whose nodes hold the most room of any group below: the first group with
/// enough room is found in a walk from the root.
class RoomTree {
 public:
  RoomTree(std::int64_t groups, std::int64_t capacity)
      : leaves_(std::bit_ceil(static_cast<std::size_t>(std::max<std::int64_t>(groups, 1)))),
        room_(2 * leaves_, capacity) {}

  std::size_t first_with(std::int64_t room) const {
    std::size_t node = 1;
    while (node < leaves_) node = room_[2 * node] >= room ? 2 * node : 2 * node + 1;
    return node - leaves_;
  }

  void take(std::size_t group, std::int64_t amount) {
    std::size_t node = leaves_ + group;
    room_[node] -= amount;
    for (node /= 2; node > 0; node /= 2)
      room_[node] = std::max(room_[2 * node], room_[2 * node + 1]);
  }

 private:
  std::size_t leaves_;
  std::vector<std::int64_t> room_;
};

}  // namespace

std::vector<std::vector<std::int64_t>> first_fit_decreasing(
    const std::vector<std::int64_t>& lengths, std::int64_t capacity) {
  std::vector<std::int64_t> order(lengths.size());
  std::iota(order.begin(), order.end(), 0);
  const auto length = [&](std::int64_t i) { return lengths[static_cast<std::size_t>(i)]; };
  std::ranges::stable_sort(order, std::greater<>(), length);
  std::vector<std::vector<std::int64_t>> groups;
  RoomTree tree(static_cast<std::int64_t>(lengths.size()), capacity);
  for (const std::int64_t i : order) {
    if (length(i) > capacity) {
      fail_internal("grouping: an example of {} tokens in groups of {}", length(i), capacity);
    }
    const std::size_t group = tree.first_with(length(i));
    tree.take(group, length(i));
    if (group >= groups.size()) groups.resize(group + 1);
    groups[group].push_back(i);
  }
  return groups;
}

std::vector<std::int64_t> shuffled(std::int64_t count, std::uint64_t seed, std::uint64_t stream) {
  std::vector<std::int64_t> order(static_cast<std::size_t>(count));
  std::iota(order.begin(), order.end(), 0);
  RandomStream random{seed, stream};
  for (std::size_t i = order.size(); i > 1; --i) std::swap(order[i - 1], order[random.below(i)]);
  return order;
}

}  // namespace tigerbot::train
