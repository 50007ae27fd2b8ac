#include "tokenizer/training/word_counter.h"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <utility>

#include "base/error.h"
#include "base/utf8.h"
#include "tokenizer/training/threads.h"

namespace tigerbot {
namespace {

// A long text is cut where no word goes on, so that several threads share it.
constexpr std::size_t kPartBytes = 256 << 10;

}  // namespace

std::uint64_t WordCounts::hash(std::string_view word) {
  std::uint64_t hash = word.size() * 0x9E3779B97F4A7C15u;
  const char* at = word.data();
  std::size_t left = word.size();
  for (; left >= 8; left -= 8, at += 8) {
    std::uint64_t part;
    std::memcpy(&part, at, 8);
    hash = (hash ^ part) * 0xFF51AFD7ED558CCDu;
    hash ^= hash >> 32;
  }
  if (left > 0) {
    std::uint64_t part = 0;
    std::memcpy(&part, at, left);
    hash = (hash ^ part) * 0xFF51AFD7ED558CCDu;
    hash ^= hash >> 32;
  }
  hash *= 0xC4CEB9FE1A85EC53u;
  return hash ^ hash >> 29;
}

void WordCounts::grow() {
  std::vector<std::uint32_t> table(std::max<std::size_t>(table_.size() * 2, 64), 0);
  for (std::size_t i = 0; i < words_.size(); ++i) {
    std::size_t slot = words_[i].hash & (table.size() - 1);
    while (table[slot] != 0) slot = (slot + 1) & (table.size() - 1);
    table[slot] = static_cast<std::uint32_t>(i + 1);
  }
  table_ = std::move(table);
}

void WordCounts::add(std::string_view text, std::uint64_t count, std::uint64_t hash) {
  if (words_.size() * 2 >= table_.size()) grow();
  const auto short_hash = static_cast<std::uint32_t>(hash);
  std::size_t slot = short_hash & (table_.size() - 1);
  for (; table_[slot] != 0; slot = (slot + 1) & (table_.size() - 1)) {
    Word& known = words_[table_[slot] - 1];
    if (known.hash == short_hash && known.size == text.size() &&
        std::memcmp(bytes_.data() + known.offset, text.data(), text.size()) == 0) {
      known.count += count;
      return;
    }
  }
  if (words_.size() >= 0xFFFFFFF0u || text.size() > 0xFFFFFFF0u) {
    fail("the sample has more than 4 billion different words; take a smaller sample");
  }
  words_.push_back({bytes_.size(), count, static_cast<std::uint32_t>(text.size()), short_hash});
  bytes_ += text;
  table_[slot] = static_cast<std::uint32_t>(words_.size());
}

void WordCounts::clear() { *this = WordCounts(); }

WordCounter::WordCounter(const PreTokenizer& pre_tokenizer, const Normalizer* normalizer,
                         int threads)
    : pre_tokenizer_(pre_tokenizer),
      normalizer_(normalizer),
      by_thread_(static_cast<std::size_t>(std::max(threads, 1)), Shards(kShards)) {}

void WordCounter::count_words(std::string_view text, bool at_start, Shards& shards) const {
  const auto count = [&](std::string_view word) {
    const std::uint64_t hash = WordCounts::hash(word);
    shards[hash >> 60].add(word, 1, hash);
  };
  if (!pre_tokenizer_.scanner()) {
    for (const Pieces::Piece& piece : pre_tokenizer_.split(text, at_start).pieces) {
      count(piece.text);
    }
    return;
  }
  std::string with_space;
  if (at_start && pre_tokenizer_.add_prefix_space() && !text.starts_with(' ')) {
    with_space = " " + std::string(text);
    text = with_space;
  }
  std::size_t ends[64];
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t found = scan_words(*pre_tokenizer_.scanner(), text, begin, ends);
    for (std::size_t i = 0; i < found; ++i) {
      count(text.substr(begin, ends[i] - begin));
      begin = ends[i];
    }
  }
}

void WordCounter::add(std::span<const std::string_view> texts) {
  struct Part {
    std::size_t text, begin, end;
  };
  std::vector<Part> parts;
  for (std::size_t i = 0; i < texts.size(); ++i) {
    std::size_t begin = 0;
    // A normalizer or a pre-tokenizer without a scanner may look over any border.
    if (pre_tokenizer_.scanner() && normalizer_ == nullptr && is_valid_utf8(texts[i])) {
      while (texts[i].size() - begin > kPartBytes) {
        const std::size_t end = find_safe_split(texts[i], begin + kPartBytes);
        parts.push_back({i, begin, end});
        begin = end;
      }
    }
    if (begin < texts[i].size()) parts.push_back({i, begin, texts[i].size()});
  }
  std::atomic<std::size_t> next{0};
  run_on_threads(static_cast<int>(by_thread_.size()), [&](int thread) {
    Shards& shards = by_thread_[static_cast<std::size_t>(thread)];
    std::string valid, normalized;
    for (std::size_t i = next++; i < parts.size(); i = next++) {
      const Part& part = parts[i];
      std::string_view text = texts[part.text].substr(part.begin, part.end - part.begin);
      if (!is_valid_utf8(text)) {
        valid = replace_invalid_utf8(text);
        text = valid;
      }
      if (normalizer_ != nullptr && !normalizer_->keeps(text)) {
        normalized = normalizer_->normalize(text);
        text = normalized;
      }
      count_words(text, part.begin == 0, shards);
    }
  });
}

WordCounts WordCounter::finish() {
  std::atomic<std::size_t> next{0};
  run_on_threads(static_cast<int>(by_thread_.size()), [&](int) {
    for (std::size_t shard = next++; shard < kShards; shard = next++) {
      WordCounts& all = by_thread_[0][shard];
      for (std::size_t other = 1; other < by_thread_.size(); ++other) {
        WordCounts& more = by_thread_[other][shard];
        for (std::size_t i = 0; i < more.size(); ++i) all.add(more.word(i), more.count(i));
        more.clear();
      }
      all.table_ = {};
    }
  });
  WordCounts result;
  for (WordCounts& shard : by_thread_[0]) {
    const std::uint64_t base = result.bytes_.size();
    result.bytes_ += shard.bytes_;
    for (WordCounts::Word word : shard.words_) {
      word.offset += base;
      result.words_.push_back(word);
    }
    shard.clear();
  }
  return result;
}

}  // namespace tigerbot
