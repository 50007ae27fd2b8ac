#pragma once

#include <string>

#include "tokenizer/tokenizer.h"

namespace tigerbot::serve {

/// The bytes that a token adds to a text, which may be a part of a character; special tokens as
/// they are spelled.
std::string token_bytes(const Tokenizer& tokenizer, TokenId id);

}  // namespace tigerbot::serve
