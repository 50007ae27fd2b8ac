#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "tokenizer/normalizer.h"
#include "tokenizer/pre_tokenizer.h"

namespace tigerbot {

/// Words and how often each occurs; the bytes of all words stand one after the other.
class WordCounts {
 public:
  std::size_t size() const { return words_.size(); }
  std::string_view word(std::size_t index) const {
    const Word& word = words_[index];
    return std::string_view(bytes_).substr(word.offset, word.size);
  }
  std::uint64_t count(std::size_t index) const { return words_[index].count; }
  std::uint64_t total_bytes() const { return bytes_.size(); }

  /// Counts `word` `count` times more.
  void add(std::string_view word, std::uint64_t count) { add(word, count, hash(word)); }
  void add(std::string_view word, std::uint64_t count, std::uint64_t hash);
  /// The hash that places a word; its upper bits choose a shard.
  static std::uint64_t hash(std::string_view word);
  void clear();

 private:
  friend class WordCounter;
  struct Word {
    std::uint64_t offset, count;
    std::uint32_t size;
    std::uint32_t hash;
  };
  void grow();

  std::string bytes_;
  std::vector<Word> words_;
  std::vector<std::uint32_t> table_;  // open addressing: index of the word + 1; 0 is free
};

/// Splits texts into words as a tokenizer's normalizer and pre-tokenizer do, and counts them on
/// several threads. The words and counts are the same whatever the number of threads; their order
/// is not.
class WordCounter {
 public:
  /// `normalizer` may be null; both must outlive the counter. `threads` is at least 1.
  WordCounter(const PreTokenizer& pre_tokenizer, const Normalizer* normalizer, int threads);

  /// Counts the words of `texts`, each a text of its own.
  void add(std::span<const std::string_view> texts);

  /// All words counted; the counter is then empty.
  WordCounts finish();

 private:
  static constexpr std::size_t kShards = 16;
  using Shards = std::vector<WordCounts>;
  void count_words(std::string_view text, bool at_start, Shards& shards) const;

  const PreTokenizer& pre_tokenizer_;
  const Normalizer* normalizer_;
  std::vector<Shards> by_thread_;
};

}  // namespace tigerbot
