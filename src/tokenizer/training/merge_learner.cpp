#include "tokenizer/training/merge_learner.h"

#include <algorithm>
#include <atomic>
#include <queue>
#include <utility>

#include "base/error.h"
#include "tokenizer/training/pair_table.h"
#include "tokenizer/training/threads.h"

namespace tigerbot {

std::uint32_t PieceTable::add(std::string piece, std::uint32_t length) {
  const auto [found, is_new] = ids_.try_emplace(piece, static_cast<std::uint32_t>(pieces_.size()));
  if (is_new) {
    pieces_.push_back(std::move(piece));
    lengths_.push_back(length);
  }
  return found->second;
}

std::optional<std::uint32_t> PieceTable::find(const std::string& piece) const {
  const auto found = ids_.find(piece);
  if (found == ids_.end()) return std::nullopt;
  return found->second;
}

namespace {

using Key = PairTable::Key;

// Each round of counting lowers the threshold by this factor.
constexpr std::uint64_t kThresholdStep = 24;
// Words to change at which several threads pay.
constexpr std::size_t kParallelWords = 1 << 14;
constexpr std::uint64_t kMerged = 1;  // the note of a pair that has been merged; 0 before

// A pair that may be merged, and the words that held it when the entry was made. Its count may have
// changed since.
struct Candidate {
  std::uint64_t count;
  Key key;
  std::uint64_t places;  // into the arena
  std::uint32_t place_count;

  bool operator<(const Candidate& other) const {
    return count != other.count ? count < other.count : key > other.key;
  }
};

// What one merge changes on one side: how often each neighbour stood there, and in which words.
class Neighbours {
 public:
  void reset(std::size_t symbols) {
    if (slots_.size() < symbols) slots_.resize(symbols + symbols / 2 + 1024, 0);
    for (const std::uint32_t symbol : symbols_) slots_[symbol] = 0;
    symbols_.clear();
    counts_.clear();
    last_word_.clear();
    places_.clear();
  }
  void add(std::uint32_t symbol, std::uint64_t count, std::uint32_t word) {
    const std::uint32_t slot = slot_of(symbol);
    counts_[slot] += static_cast<std::int64_t>(count);
    if (last_word_[slot] != word) {
      last_word_[slot] = word;
      places_.emplace_back(slot, word);
    }
  }
  // Takes in what another thread found in later words.
  void add(const Neighbours& other) {
    std::vector<std::uint32_t> slots;
    for (std::size_t i = 0; i < other.symbols_.size(); ++i) {
      slots.push_back(slot_of(other.symbols_[i]));
      counts_[slots.back()] += other.counts_[i];
    }
    for (const auto& place : other.places_) places_.emplace_back(slots[place.first], place.second);
  }
  std::int64_t count(std::uint32_t symbol) const {
    return slots_[symbol] == 0 ? 0 : counts_[slots_[symbol] - 1];
  }
  const std::vector<std::uint32_t>& symbols() const { return symbols_; }
  const std::vector<std::int64_t>& counts() const { return counts_; }
  const std::vector<std::pair<std::uint32_t, std::uint32_t>>& places() const { return places_; }

 private:
  std::uint32_t slot_of(std::uint32_t symbol) {
    if (slots_[symbol] == 0) {
      symbols_.push_back(symbol);
      counts_.push_back(0);
      last_word_.push_back(~0u);
      slots_[symbol] = static_cast<std::uint32_t>(symbols_.size());
    }
    return slots_[symbol] - 1;
  }

  std::vector<std::uint32_t> slots_;    // by symbol: place in the lists below + 1
  std::vector<std::uint32_t> symbols_;  // met, in order
  std::vector<std::int64_t> counts_;
  std::vector<std::uint32_t> last_word_;
  std::vector<std::pair<std::uint32_t, std::uint32_t>> places_;  // slot, word
};

struct Changes {
  Neighbours left, right;
};

class MergeLearner {
 public:
  MergeLearner(SymbolWords& words, PieceTable& pieces, const MergeLearnerOptions& options)
      : words_(words),
        pieces_(pieces),
        options_(options),
        floor_(std::max<std::uint64_t>(options.min_frequency, 1)),
        threads_(std::max(options.threads, 1)),
        changes_(static_cast<std::size_t>(threads_)) {}

  std::vector<LearnedMerge> run() {
    std::vector<LearnedMerge> merges;
    while (pieces_.size() < options_.max_pieces) {
      if (queue_.empty()) {
        if (threshold_ <= floor_) break;
        count_pairs();
        continue;
      }
      Candidate top = queue_.top();
      queue_.pop();
      const std::int64_t count = table_.find(top.key)->count;
      if (count != static_cast<std::int64_t>(top.count)) {
        if (count < static_cast<std::int64_t>(threshold_)) continue;
        top.count = static_cast<std::uint64_t>(count);
        queue_.push(top);
        continue;
      }
      const auto left = static_cast<std::uint32_t>(top.key >> 32);
      const auto right = static_cast<std::uint32_t>(top.key);
      const std::size_t before = pieces_.size();
      const std::uint32_t merged = pieces_.add(pieces_.piece(left) + pieces_.piece(right),
                                               pieces_.length(left) + pieces_.length(right));
      merges.push_back({left, right, merged});
      table_.find(top.key)->note = kMerged;
      merge(top, left, right, merged, pieces_.size() == before);
      if (options_.on_progress && merges.size() % 64 == 0) options_.on_progress(pieces_.size());
    }
    if (options_.on_progress) options_.on_progress(pieces_.size());
    return merges;
  }

 private:
  bool may_join(std::uint32_t left, std::uint32_t right) const {
    if (options_.max_token_length) {
      // The reference never refuses a pair of its alphabet.
      const std::uint32_t length = pieces_.length(left) + pieces_.length(right);
      if (length > 2 && length >= *options_.max_token_length) return false;
    }
    return !options_.allowed || options_.allowed(pieces_.piece(left) + pieces_.piece(right));
  }

  // Lowers the threshold, counts all pairs and makes candidates of those that reach it.
  void count_pairs() {
    // Upper bounds first: many pairs share one of these counters.
    constexpr int kBits = 20;
    std::vector<std::vector<std::uint64_t>> bounds(static_cast<std::size_t>(threads_));
    for_words([&](int thread, std::size_t begin, std::size_t end) {
      std::vector<std::uint64_t>& mine = bounds[static_cast<std::size_t>(thread)];
      mine.resize(std::size_t{1} << kBits, 0);
      for (std::size_t w = begin; w < end; ++w) {
        const SymbolWords::Word& word = words_.words[w];
        const std::uint32_t* symbols = words_.symbols.data() + word.begin;
        for (std::uint32_t i = 1; i < word.size; ++i) {
          mine[PairTable::hash(PairTable::key(symbols[i - 1], symbols[i])) >> (64 - kBits)] +=
              word.count;
        }
      }
    });
    std::vector<std::uint64_t> bound = std::move(bounds[0]);
    bound.resize(std::size_t{1} << kBits, 0);
    for (std::size_t t = 1; t < bounds.size(); ++t) {
      for (std::size_t i = 0; i < bounds[t].size(); ++i) bound[i] += bounds[t][i];
      bounds[t] = {};
    }
    const std::uint64_t most = *std::max_element(bound.begin(), bound.end());
    threshold_ = std::max(floor_, std::min(threshold_, most) / kThresholdStep);

    // Then the exact counts of those that may reach the threshold; what merged pairs have left over
    // goes on from round to round, as in the reference.
    PairTable table;
    table_.for_each([&](const PairTable::Entry& entry) {
      if (entry.note == kMerged) {
        PairTable::Entry& kept = table[entry.key];
        kept.count = entry.count;
        kept.note = kMerged;
      }
    });
    std::vector<PairTable> found(static_cast<std::size_t>(threads_));
    for_words([&](int thread, std::size_t begin, std::size_t end) {
      PairTable& mine = found[static_cast<std::size_t>(thread)];
      for (std::size_t w = begin; w < end; ++w) {
        const SymbolWords::Word& word = words_.words[w];
        const std::uint32_t* symbols = words_.symbols.data() + word.begin;
        Key last = 0;
        for (std::uint32_t i = 1; i < word.size; ++i) {
          const Key key = PairTable::key(symbols[i - 1], symbols[i]);
          if (bound[PairTable::hash(key) >> (64 - kBits)] < threshold_) continue;
          PairTable::Entry& entry = mine[key];
          entry.count += static_cast<std::int64_t>(word.count);
          // `note` counts words, so a pair that stands twice in a row is counted once.
          if (i == 1 || key != last) ++entry.note;
          last = key;
        }
      }
    });
    for (std::size_t t = 1; t < found.size(); ++t) {
      found[t].for_each([&](const PairTable::Entry& entry) {
        PairTable::Entry& sum = found[0][entry.key];
        sum.count += entry.count;
        sum.note += entry.note;
      });
      found[t] = PairTable();
    }
    std::vector<Candidate> candidates;
    std::uint64_t places = 0;
    found[0].for_each([&](PairTable::Entry& entry) {
      const PairTable::Entry* known = table.find(entry.key);
      const std::int64_t count = known != nullptr ? known->count : entry.count;
      const auto left = static_cast<std::uint32_t>(entry.key >> 32);
      const auto right = static_cast<std::uint32_t>(entry.key);
      if (count < static_cast<std::int64_t>(threshold_) || !may_join(left, right)) {
        entry.note = ~std::uint64_t{0};
        return;
      }
      PairTable::Entry& kept = table[entry.key];
      kept.count = count;
      candidates.push_back({static_cast<std::uint64_t>(count), entry.key, places, 0});
      const std::uint64_t most_places = entry.note;
      entry.note = candidates.size() - 1;
      places += most_places;
    });
    // Where they stand.
    arena_.clear();
    arena_.shrink_to_fit();
    arena_.resize(places);
    for (std::size_t w = 0; w < words_.words.size(); ++w) {
      const SymbolWords::Word& word = words_.words[w];
      const std::uint32_t* symbols = words_.symbols.data() + word.begin;
      for (std::uint32_t i = 1; i < word.size; ++i) {
        const Key key = PairTable::key(symbols[i - 1], symbols[i]);
        if (bound[PairTable::hash(key) >> (64 - kBits)] < threshold_) continue;
        const std::uint64_t index = found[0].find(key)->note;
        if (index == ~std::uint64_t{0}) continue;
        Candidate& candidate = candidates[index];
        std::uint32_t* list = arena_.data() + candidate.places;
        if (candidate.place_count != 0 && list[candidate.place_count - 1] == w) continue;
        list[candidate.place_count++] = static_cast<std::uint32_t>(w);
      }
    }
    table_ = std::move(table);
    queue_ = std::priority_queue<Candidate>(std::less<Candidate>(), std::move(candidates));
  }

  // Parts of all words, a part a thread.
  template <typename Work>
  void for_words(const Work& work) {
    const std::size_t count = words_.words.size();
    const auto threads = static_cast<std::size_t>(threads_);
    run_on_threads(threads_, [&](int thread) {
      const auto t = static_cast<std::size_t>(thread);
      work(thread, count * t / threads, count * (t + 1) / threads);
    });
  }

  // Joins left and right in some words.
  void rewrite(const std::uint32_t* places, std::size_t count, std::uint32_t left,
               std::uint32_t right, std::uint32_t merged, Changes& changes) {
    for (std::size_t p = 0; p < count; ++p) {
      SymbolWords::Word& word = words_.words[places[p]];
      std::uint32_t* symbols = words_.symbols.data() + word.begin;
      const std::uint32_t size = word.size;
      std::uint32_t i = 0;
      while (i + 1 < size && !(symbols[i] == left && symbols[i + 1] == right)) ++i;
      if (i + 1 >= size) continue;
      std::uint32_t out = i;
      while (i < size) {
        if (i + 1 < size && symbols[i] == left && symbols[i + 1] == right) {
          if (out > 0) changes.left.add(symbols[out - 1], word.count, places[p]);
          if (i + 2 < size) changes.right.add(symbols[i + 2], word.count, places[p]);
          symbols[out++] = merged;
          i += 2;
        } else {
          symbols[out++] = symbols[i++];
        }
      }
      word.size = out;
    }
  }

  void merge(const Candidate& top, std::uint32_t left, std::uint32_t right, std::uint32_t merged,
             bool merged_was_known) {
    for (Changes& changes : changes_) {
      changes.left.reset(pieces_.size());
      changes.right.reset(pieces_.size());
    }
    const std::uint32_t* places = arena_.data() + top.places;
    if (threads_ > 1 && top.place_count >= kParallelWords) {
      const auto threads = static_cast<std::size_t>(threads_);
      run_on_threads(threads_, [&](int thread) {
        const auto t = static_cast<std::size_t>(thread);
        const std::size_t begin = top.place_count * t / threads;
        const std::size_t end = top.place_count * (t + 1) / threads;
        rewrite(places + begin, end - begin, left, right, merged, changes_[t]);
      });
      for (std::size_t t = 1; t < threads; ++t) {
        changes_[0].left.add(changes_[t].left);
        changes_[0].right.add(changes_[t].right);
      }
    } else {
      rewrite(places, top.place_count, left, right, merged, changes_[0]);
    }
    const Changes& changes = changes_[0];
    const auto lower = [&](std::uint32_t a, std::uint32_t b, std::int64_t by) {
      if (PairTable::Entry* entry = table_.find(PairTable::key(a, b))) entry->count -= by;
    };
    for (std::size_t i = 0; i < changes.left.symbols().size(); ++i) {
      lower(changes.left.symbols()[i], left, changes.left.counts()[i]);
    }
    for (std::size_t i = 0; i < changes.right.symbols().size(); ++i) {
      lower(right, changes.right.symbols()[i], changes.right.counts()[i]);
    }
    // The pairs of the new symbol with its neighbours. (merged, left) was lowered above where one
    // new symbol follows another, and is raised here.
    if (merged_was_known) count_dark_pairs(changes, merged);
    add_pairs(
        changes.left, [&](std::uint32_t symbol) { return std::pair(symbol, merged); },
        [](std::uint32_t, std::int64_t count) { return count; }, merged_was_known);
    add_pairs(
        changes.right, [&](std::uint32_t symbol) { return std::pair(merged, symbol); },
        [&](std::uint32_t symbol, std::int64_t count) {
          // Was it lowered while nobody knew it?
          if (symbol != left || merged_was_known) return count;
          return count - changes.left.count(merged);
        },
        merged_was_known);
  }

  // A merge that makes a piece which another merge has made before: pairs with it may already stand
  // in words, too rare to have a counter. Gives them one, with what they had before this merge.
  void count_dark_pairs(const Changes& changes, std::uint32_t merged) {
    PairTable dark;
    for (const SymbolWords::Word& word : words_.words) {
      const std::uint32_t* symbols = words_.symbols.data() + word.begin;
      for (std::uint32_t i = 1; i < word.size; ++i) {
        if (symbols[i - 1] != merged && symbols[i] != merged) continue;
        const Key key = PairTable::key(symbols[i - 1], symbols[i]);
        if (table_.find(key) == nullptr) {
          dark[key].count += static_cast<std::int64_t>(word.count);
        }
      }
    }
    const auto before = [&](Key key, std::int64_t now) {
      if (table_.find(key) != nullptr) return;
      const PairTable::Entry* entry = dark.find(key);
      table_[key].count = (entry != nullptr ? entry->count : 0) - now;
    };
    for (std::size_t i = 0; i < changes.left.symbols().size(); ++i) {
      if (changes.left.symbols()[i] == merged) continue;  // counted below, with both sides
      before(PairTable::key(changes.left.symbols()[i], merged), changes.left.counts()[i]);
    }
    for (std::size_t i = 0; i < changes.right.symbols().size(); ++i) {
      if (changes.right.symbols()[i] == merged) continue;
      before(PairTable::key(merged, changes.right.symbols()[i]), changes.right.counts()[i]);
    }
    const Key twice = PairTable::key(merged, merged);
    before(twice, changes.left.count(merged) + changes.right.count(merged));
  }

  // Raises the counts of new pairs and makes candidates of those that are frequent enough.
  template <typename PairOf, typename CountOf>
  void add_pairs(const Neighbours& neighbours, const PairOf& pair_of, const CountOf& count_of,
                 bool merged_was_known) {
    const auto& symbols = neighbours.symbols();
    starts_.assign(symbols.size(), kNoList);
    counts_.assign(symbols.size(), 0);
    bool any = false;
    for (std::size_t i = 0; i < symbols.size(); ++i) {
      const auto [a, b] = pair_of(symbols[i]);
      std::int64_t count = count_of(symbols[i], neighbours.counts()[i]);
      if (count < static_cast<std::int64_t>(threshold_) && !merged_was_known) continue;
      if (!may_join(a, b)) continue;
      if (merged_was_known) {
        PairTable::Entry* known = table_.find(PairTable::key(a, b));
        if (known != nullptr) {
          known->count += count;
          count = known->count;
        }
        if (count < static_cast<std::int64_t>(threshold_)) continue;
        table_[PairTable::key(a, b)].count = count;
      } else {
        // A pair of the new symbol with itself is met from the left alone.
        table_[PairTable::key(a, b)].count += count;
      }
      starts_[i] = 0;
      counts_[i] = count;
      any = true;
    }
    if (!any) return;
    sizes_.assign(symbols.size(), 0);
    for (const auto& [slot, word] : neighbours.places()) ++sizes_[slot];
    std::uint64_t end = arena_.size();
    for (std::size_t i = 0; i < symbols.size(); ++i) {
      if (starts_[i] == kNoList) continue;
      starts_[i] = end;
      const auto [a, b] = pair_of(symbols[i]);
      queue_.push({static_cast<std::uint64_t>(counts_[i]), PairTable::key(a, b), end, sizes_[i]});
      end += sizes_[i];
    }
    arena_.resize(end);
    for (const auto& [slot, word] : neighbours.places()) {
      if (starts_[slot] != kNoList) arena_[starts_[slot]++] = word;
    }
  }

  static constexpr std::uint64_t kNoList = ~std::uint64_t{0};

  SymbolWords& words_;
  PieceTable& pieces_;
  const MergeLearnerOptions& options_;
  const std::uint64_t floor_;
  const int threads_;
  std::uint64_t threshold_ = ~std::uint64_t{0};  // no pair left occurs so often
  PairTable table_;
  std::priority_queue<Candidate> queue_;
  std::vector<std::uint32_t> arena_;  // lists of words
  std::vector<Changes> changes_;      // by thread
  // Working memory of add_pairs(), by neighbour.
  std::vector<std::uint64_t> starts_;
  std::vector<std::int64_t> counts_;
  std::vector<std::uint32_t> sizes_;
};

}  // namespace

std::vector<LearnedMerge> learn_merges(SymbolWords& words, PieceTable& pieces,
                                       const MergeLearnerOptions& options) {
  if (words.words.size() > 0xFFFFFFFFu) fail("the sample has more than 4 billion words");
  return MergeLearner(words, pieces, options).run();
}

}  // namespace tigerbot
