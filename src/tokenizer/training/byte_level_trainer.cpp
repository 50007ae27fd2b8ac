#include "tokenizer/training/byte_level_trainer.h"

#include <algorithm>
#include <array>
#include <limits>
#include <unordered_map>
#include <utility>

#include "base/utf8.h"
#include "tokenizer/byte_level_alphabet.h"
#include "tokenizer/training/pair_table.h"

namespace tigerbot {
namespace {

// The bytes to start from, in the order of their characters in the alphabet.
std::vector<unsigned char> choose_alphabet(const WordCounts& words,
                                           const ByteLevelTrainerOptions& options) {
  std::array<std::uint64_t, 256> counts{};
  for (std::size_t i = 0; i < words.size(); ++i) {
    for (const char byte : words.word(i)) {
      counts[static_cast<unsigned char>(byte)] += words.count(i);
    }
  }
  if (options.byte_alphabet) counts.fill(std::numeric_limits<std::uint64_t>::max());
  std::vector<unsigned char> bytes;
  for (int byte = 0; byte < 256; ++byte) {
    if (counts[static_cast<std::size_t>(byte)] != 0) {
      bytes.push_back(static_cast<unsigned char>(byte));
    }
  }
  const auto& characters = byte_level_characters();
  const auto by_character = [&](unsigned char a, unsigned char b) {
    return characters[a] < characters[b];
  };
  std::sort(bytes.begin(), bytes.end(), by_character);
  if (options.limit_alphabet && bytes.size() > *options.limit_alphabet) {
    std::stable_sort(bytes.begin(), bytes.end(),
                     [&](unsigned char a, unsigned char b) { return counts[a] < counts[b]; });
    bytes.erase(bytes.begin(), bytes.end() - static_cast<std::ptrdiff_t>(*options.limit_alphabet));
    std::sort(bytes.begin(), bytes.end(), by_character);
  }
  return bytes;
}

}  // namespace

void keep_last_of_equal_merges(std::vector<LearnedMerge>& merges) {
  std::unordered_map<std::uint64_t, std::size_t> last;
  for (std::size_t i = 0; i < merges.size(); ++i) {
    last[PairTable::key(merges[i].left, merges[i].right)] = i;
  }
  std::size_t out = 0;
  for (std::size_t i = 0; i < merges.size(); ++i) {
    if (last[PairTable::key(merges[i].left, merges[i].right)] == i) merges[out++] = merges[i];
  }
  merges.resize(out);
}

TrainedBpe train_byte_level_bpe(const WordCounts& counts, const ByteLevelTrainerOptions& options) {
  PieceTable pieces;
  for (const std::string& token : options.special_tokens) {
    pieces.add(token, static_cast<std::uint32_t>(decode_utf8(token).size()));
  }
  std::array<std::int64_t, 256> ids;
  ids.fill(-1);
  for (const unsigned char byte : choose_alphabet(counts, options)) {
    ids[byte] = pieces.add(to_byte_level(std::string(1, static_cast<char>(byte))), 1);
  }
  // A special token may be spelled like a byte that is not in the alphabet.
  for (std::size_t byte = 0; byte < 256; ++byte) {
    const auto found = pieces.find(to_byte_level(std::string(1, static_cast<char>(byte))));
    if (found) ids[byte] = *found;
  }
  SymbolWords words;
  words.symbols.reserve(counts.total_bytes());
  words.words.reserve(counts.size());
  for (std::size_t i = 0; i < counts.size(); ++i) {
    const std::uint64_t begin = words.symbols.size();
    for (const char byte : counts.word(i)) {
      const std::int64_t id = ids[static_cast<unsigned char>(byte)];
      if (id >= 0) words.symbols.push_back(static_cast<std::uint32_t>(id));
    }
    const std::uint64_t size = words.symbols.size() - begin;
    if (size < 2) {
      words.symbols.resize(begin);
      continue;
    }
    words.words.push_back({begin, counts.count(i), static_cast<std::uint32_t>(size)});
  }
  MergeLearnerOptions learner;
  learner.max_pieces = options.vocab_size;
  learner.min_frequency = options.min_frequency;
  learner.max_token_length = options.max_token_length;
  learner.threads = options.threads;
  learner.on_progress = options.on_progress;
  TrainedBpe result;
  result.merges = learn_merges(words, pieces, learner);
  keep_last_of_equal_merges(result.merges);
  result.pieces = pieces.release();
  return result;
}

}  // namespace tigerbot
