#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>
#include <vector>

namespace tigerbot::constraint {

/// The tokens that stay within an expression, such as the inside of a string, whatever follows it:
/// found by one walk over the whole vocabulary.
struct HeadWalk {
  std::vector<std::uint32_t> words;  ///< a mask of those tokens
  /// The nodes of the vocabulary's tree whose byte may be the first after the expression, for the
  /// bytes that the walk was told.
  std::vector<std::int32_t> leaves;

  std::size_t bytes() const {
    return sizeof(HeadWalk) + words.size() * sizeof(words[0]) + leaves.size() * sizeof(leaves[0]);
  }
};

/// Keeps them for all grammars of a vocabulary, for most have strings alike. Safe from many
/// threads.
class SharedWalks {
 public:
  /// Null if there is none of this key.
  std::shared_ptr<const HeadWalk> find(const std::string& key) const;
  void insert(const std::string& key, std::shared_ptr<const HeadWalk> walk);

 private:
  static constexpr std::size_t kMaxBytes = 32 << 20;  // of keys and walks; then it begins anew
  mutable std::mutex mutex_;
  std::unordered_map<std::string, std::shared_ptr<const HeadWalk>> walks_;
  std::size_t bytes_ = 0;
};

}  // namespace tigerbot::constraint
