#include "tokenizer/byte_trie.h"

#include <algorithm>
#include <array>

namespace tigerbot {
namespace {

using Keys = std::vector<std::pair<std::string, std::int32_t>>;

// Keys [begin, end) share their first `depth` bytes, which lead to `node`.
struct Range {
  std::int32_t node;
  std::size_t begin, end, depth;
};

// Fills the array one node at a time, the children of a node together at the first base where all
// their places are free.
class Builder {
 public:
  Builder(const Keys& keys, std::vector<ByteTrie::Node>& nodes) : keys_(keys), nodes_(nodes) {}

  void build() {
    nodes_.assign(256, {});
    nodes_[ByteTrie::kRoot].parent = -2;  // the root is taken, and nobody's child
    std::vector<Range> open{{ByteTrie::kRoot, 0, keys_.size(), 0}};
    while (!open.empty()) {
      const Range range = open.back();
      open.pop_back();
      place_children(range, open);
    }
    // Every child() reads base + 255 at most.
    std::int32_t highest = 0;
    for (const ByteTrie::Node& node : nodes_) highest = std::max(highest, node.base);
    nodes_.resize(std::size_t(highest) + 256);
  }

 private:
  void place_children(const Range& range, std::vector<Range>& open) {
    std::size_t begin = range.begin;
    if (begin < range.end && keys_[begin].first.size() == range.depth) {
      nodes_[range.node].value = keys_[begin++].second;
    }
    if (begin >= range.end) return;
    children_.clear();
    for (std::size_t i = begin; i < range.end;) {
      const unsigned char byte = byte_at(i, range.depth);
      std::size_t end = i + 1;
      while (end < range.end && byte_at(end, range.depth) == byte) ++end;
      children_.push_back({byte, i, end});
      i = end;
    }
    const std::int32_t base = free_base();
    nodes_[range.node].base = base;
    for (const Child& child : children_) {
      nodes_[base + child.byte].parent = range.node;
      open.push_back({base + child.byte, child.begin, child.end, range.depth + 1});
    }
  }

  unsigned char byte_at(std::size_t key, std::size_t depth) const {
    return static_cast<unsigned char>(keys_[key].first[depth]);
  }

  std::int32_t free_base() {
    const std::int32_t start = std::max<std::int32_t>(search_from_, children_[0].byte + 1);
    for (std::int32_t place = start;; ++place) {
      if (std::size_t(place) + 256 >= nodes_.size()) nodes_.resize(nodes_.size() * 2 + 256);
      if (nodes_[place].parent != -1) continue;
      const std::int32_t base = place - children_[0].byte;
      const bool fits = std::all_of(children_.begin(), children_.end(), [&](const Child& child) {
        return nodes_[base + child.byte].parent == -1;
      });
      if (fits) {
        // Where the search was long, what it passed is nearly full; leaving that out from now on
        // keeps building close to linear in the number of nodes.
        if (place - start > 512) search_from_ = place - 64;
        return base;
      }
    }
  }

  struct Child {
    unsigned char byte;
    std::size_t begin, end;
  };
  const Keys& keys_;
  std::vector<ByteTrie::Node>& nodes_;
  std::vector<Child> children_;
  std::int32_t search_from_ = 1;
};

}  // namespace

ByteTrie::ByteTrie(Keys keys) {
  std::sort(keys.begin(), keys.end());
  keys.erase(std::unique(keys.begin(), keys.end(),
                         [](const auto& a, const auto& b) { return a.first == b.first; }),
             keys.end());
  Builder(keys, nodes_).build();
  nodes_.shrink_to_fit();
}

ByteTrie::Match ByteTrie::longest_match(std::string_view text) const {
  Match best;
  std::int32_t at = kRoot;
  for (std::size_t i = 0; i < text.size(); ++i) {
    at = child(at, static_cast<unsigned char>(text[i]));
    if (at < 0) break;
    if (nodes_[at].value >= 0) best = {i + 1, nodes_[at].value};
  }
  return best;
}

std::int32_t ByteTrie::find(std::string_view key) const {
  std::int32_t at = kRoot;
  for (const char c : key) {
    at = child(at, static_cast<unsigned char>(c));
    if (at < 0) return -1;
  }
  return nodes_[at].value;
}

}  // namespace tigerbot
