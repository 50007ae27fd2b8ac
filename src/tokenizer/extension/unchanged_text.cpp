#include "tokenizer/extension/unchanged_text.h"

#include <algorithm>

#include "base/error.h"
#include "base/text.h"

namespace tigerbot {

TextChanges count_changes(const Tokenizer& before, const Tokenizer& after,
                          const std::vector<std::string>& texts, int threads) {
  const std::vector<std::string_view> views(texts.begin(), texts.end());
  const Tokenizer::EncodeOptions options{.add_special_tokens = false, .parse_special_tokens = true};
  const EncodedBatch old_ids = before.encode_batch(views, options, threads);
  const EncodedBatch new_ids = after.encode_batch(views, options, threads);
  TextChanges changes;
  changes.texts = texts.size();
  for (std::size_t i = 0; i < texts.size(); ++i) {
    changes.tokens += old_ids.texts[i].size();
    if (std::ranges::equal(old_ids.texts[i], new_ids.texts[i])) continue;
    if (before.decode(old_ids.texts[i], false) != texts[i]) {
      ++changes.repaired_texts;
      continue;
    }
    if (changes.changed_texts++ == 0) changes.first_changed = texts[i];
  }
  return changes;
}

void check_ids_kept(const Tokenizer& before, const Tokenizer& after) {
  for (TokenId id = 0; id < before.size(); ++id) {
    if (before.piece(id) != after.piece(id)) {
      fail_internal("the piece {} (id {}) became {}; this is a defect of the extension",
                    quote(before.piece(id)), id, quote(after.piece(id)));
    }
  }
}

}  // namespace tigerbot
