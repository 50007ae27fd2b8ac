#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "tokenizer/tokenizer.h"

namespace tigerbot {

/// Up to `count` tokens that may come next: those that followed where the last words of `tokens`
/// stood before, the latest place of the longest match of 3, 2 words (Saxena 2023, "Prompt lookup
/// decoding"). Empty where they are new.
std::vector<TokenId> lookup_draft(std::span<const TokenId> tokens, std::int64_t count);

}  // namespace tigerbot
