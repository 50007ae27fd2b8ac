#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "tokenizer/training/merge_learner.h"
#include "tokenizer/training/word_counter.h"

namespace tigerbot {

/// The settings of Hugging Face's BpeTrainer, by the same names.
struct ByteLevelTrainerOptions {
  std::size_t vocab_size = 30000;
  std::uint64_t min_frequency = 0;
  std::vector<std::string> special_tokens;  ///< take the first ids
  /// All 256 bytes, whether they occur or not (initial_alphabet = ByteLevel.alphabet()), so that
  /// every byte string can be encoded.
  bool byte_alphabet = true;
  std::optional<std::size_t> limit_alphabet;  ///< keep so many, the most frequent
  std::optional<std::uint32_t> max_token_length;
  int threads = 1;
  std::function<void(std::size_t pieces)> on_progress;
};

/// Index is the id; spelled in the byte-level alphabet.
struct TrainedBpe {
  std::vector<std::string> pieces;
  std::vector<LearnedMerge> merges;  ///< in rank order, no pair twice
};

/// Exactly the vocabulary and merges of Hugging Face tokenizers 0.23 (BpeTrainer) for the same
/// words and settings. Where limit_alphabet must choose between equally frequent characters, the
/// one of the larger code point stays (theirs is left to chance).
TrainedBpe train_byte_level_bpe(const WordCounts& words, const ByteLevelTrainerOptions& options);

/// Of equal merges only the last counts, as in the reference.
void keep_last_of_equal_merges(std::vector<LearnedMerge>& merges);

}  // namespace tigerbot
