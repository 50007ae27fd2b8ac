#include "infer/prompt_lookup.h"

#include <algorithm>

namespace tigerbot {

std::vector<TokenId> lookup_draft(std::span<const TokenId> tokens, std::int64_t count) {
  for (const std::size_t words : {3, 2}) {
    if (tokens.size() < words + 1) continue;
    const std::span<const TokenId> last = tokens.last(words);
    for (std::size_t end = tokens.size() - 1; end >= words; --end) {
      if (!std::ranges::equal(tokens.subspan(end - words, words), last)) continue;
      const std::size_t length = std::min(static_cast<std::size_t>(count), tokens.size() - end);
      const auto draft = tokens.subspan(end, length);
      return {draft.begin(), draft.end()};
    }
  }
  return {};
}

}  // namespace tigerbot
