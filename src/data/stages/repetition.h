#pragma once

#include <array>
#include <span>

#include "data/stages/text_statistics.h"

namespace tigerbot::data {

/// Repetition inside a document, as in Rae et al. 2021 ("Scaling Language Models: Methods, Analysis
/// & Insights from Training Gopher", table A1): shares of the characters of all tokens.
struct Repetition {
  std::array<double, 3> top{};       ///< in the most frequent n-gram of 2, 3, 4 tokens
  std::array<double, 6> repeated{};  ///< in n-grams of 5 to 10 tokens that stood before
};

/// `scale` multiplies the lengths: 1 for words, 2 for characters of Chinese and Japanese. Looks at
/// the first 200,000 tokens.
Repetition repetition(std::span<const Token> tokens, std::size_t scale);

}  // namespace tigerbot::data
