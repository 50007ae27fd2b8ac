#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "tokenizer/tokenizer.h"

namespace tigerbot {

/// How far two tokenizers agree on texts.
struct TextChanges {
  std::uint64_t texts = 0, changed_texts = 0;
  std::uint64_t repaired_texts = 0;  ///< changed too: the first tokenizer loses bytes of them
  std::uint64_t tokens = 0;          ///< of the first tokenizer
  std::string first_changed;
};

/// Encodes each text with both. A text that does not come back from the ids of the first counts as
/// repaired, not as changed.
TextChanges count_changes(const Tokenizer& before, const Tokenizer& after,
                          const std::vector<std::string>& texts, int threads);

/// An Error unless every piece of `before` has the same id in `after`.
void check_ids_kept(const Tokenizer& before, const Tokenizer& after);

}  // namespace tigerbot
