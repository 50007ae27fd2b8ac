#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "tokenizer/bpe_model.h"
#include "tokenizer/extension/base_text_guard.h"
#include "tokenizer/normalizer.h"
#include "tokenizer/pre_tokenizer.h"
#include "tokenizer/training/word_counter.h"

namespace tigerbot {

/// A byte-level BPE that is to be extended: what its tokenizer.json says.
struct ByteLevelBase {
  nlohmann::json document;          ///< without model.vocab and model.merges
  std::vector<std::string> pieces;  ///< by id, added tokens included; none is empty
  std::vector<std::string> merges;  ///< "left right", in rank order
  bool merges_are_strings = false;  ///< as the file spells them; else lists of two
  std::vector<bool> is_added;       ///< by id: found in the text itself, never made by merges
  std::unique_ptr<Normalizer> normalizer;  ///< null: none
  PreTokenizer pre_tokenizer;
  std::unique_ptr<BpeModel> model;
};

/// Reads a tokenizer.json that is a byte-level BPE. An Error where pieces are missing between ids,
/// stand twice, or added tokens contradict them; `path` names the file.
ByteLevelBase read_byte_level_base(nlohmann::json document, const std::string& path);

struct ExtensionOptions {
  std::size_t max_pieces = 65535;  ///< ids stay below it: 16-bit ids with the default
  std::uint64_t min_frequency = 2;
  /// Pieces that may occur in text of the base's languages are left out; null allows them.
  const BaseTextGuard* guard = nullptr;
  int threads = 1;
  std::function<void(std::size_t pieces)> on_progress;
};

/// What is put after a base: ids go on where the base's end.
struct Extension {
  std::vector<std::string> pieces;  ///< spelled in the byte-level alphabet
  std::vector<std::string> merges;  ///< "left right", after all of the base's
  std::size_t byte_pieces = 0;      ///< bytes that the base has no piece for
  std::size_t intermediate = 0;     ///< pieces that only serve to make others
  /// From another tokenizer: pieces that the base has, that occur in text of the base's languages,
  /// that the base's pre-tokenizer cuts, and that found no room.
  std::size_t known = 0, unsafe = 0, cut = 0, no_room = 0;
};

/// Trains on from the base: the words are cut as the base cuts them, and pairs of its pieces are
/// joined, the most frequent first. Every new piece can be reached, and none crosses a border of
/// the base's pre-tokenizer.
Extension extend_by_words(const ByteLevelBase& base, const WordCounts& words,
                          const ExtensionOptions& options);

/// Takes over `wanted` (bytes, the most wanted first) from another tokenizer. Where more than two
/// pieces spell a wanted one, pieces between are added.
Extension extend_by_pieces(const ByteLevelBase& base, const std::vector<std::string>& wanted,
                           const ExtensionOptions& options);

/// The extended tokenizer.json.
nlohmann::ordered_json extended_document(const ByteLevelBase& base, const Extension& extension);

}  // namespace tigerbot
