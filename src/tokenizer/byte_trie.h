#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace tigerbot {

/// A map from byte strings to numbers that finds every key which begins a text: a double-array trie
/// (Aoe 1989), one cache line a step. A node's child for byte c stands at `base + c` and names its
/// parent.
class ByteTrie {
 public:
  struct Node {
    std::int32_t base = 0;
    std::int32_t parent = -1;  ///< -1: this place is free
    std::int32_t value = -1;   ///< -1: no key ends here
    float score = 0;           ///< whatever the owner keeps beside the value
  };
  static constexpr std::int32_t kRoot = 0;

  ByteTrie() : ByteTrie(std::vector<std::pair<std::string, std::int32_t>>{}) {}
  /// Keys must not be empty and values not negative; of equal keys one stays.
  explicit ByteTrie(std::vector<std::pair<std::string, std::int32_t>> keys);

  bool empty() const { return nodes_.size() <= kAlphabet; }

  /// The child of `node` for `byte`, or -1.
  std::int32_t child(std::int32_t node, unsigned char byte) const {
    const std::int32_t next = nodes_[node].base + byte;
    return nodes_[next].parent == node ? next : -1;
  }
  const Node& node(std::int32_t index) const { return nodes_[index]; }

  struct Match {
    std::size_t length = 0;  ///< 0: none
    std::int32_t value = -1;
  };
  /// The longest key that begins `text`.
  Match longest_match(std::string_view text) const;
  /// The value of `key` itself, or -1.
  std::int32_t find(std::string_view key) const;

  /// Sets the score of every node that ends a key.
  template <typename ScoreOfValue>
  void set_scores(ScoreOfValue score) {
    for (Node& node : nodes_) {
      if (node.value >= 0) node.score = score(node.value);
    }
  }

 private:
  static constexpr std::size_t kAlphabet = 256;
  std::vector<Node> nodes_;
};

}  // namespace tigerbot
