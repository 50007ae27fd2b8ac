#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "tokenizer/normalizer.h"
#include "tokenizer/tokenizer.h"

namespace tigerbot {

/// A token that is found in the text itself, before the pre-tokenizer and the model see it.
struct AddedToken {
  TokenId id = 0;
  std::string content;
  bool special = false;      ///< a control token: decode may leave it out
  bool normalized = false;   ///< looked for in the normalized text instead of the raw text
  bool lstrip = false;       ///< takes the white space before it
  bool rstrip = false;       ///< takes the white space after it
  bool single_word = false;  ///< only where no word character touches it
};

}  // namespace tigerbot
