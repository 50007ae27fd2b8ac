#include "tokenizer/unicode_classes.h"

#include <algorithm>
#include <iterator>
#include <map>
#include <string_view>

namespace tigerbot {
namespace {

// A run of code points alike: from `first` up to the next run's first.
struct Run {
  std::uint32_t first;
  std::uint8_t category;
  std::uint8_t extra;  // 1: \s, 2: is_numeric, 4: punctuation, 8: Rust's \w
};
using Block = std::array<std::uint8_t, 64>;
constexpr Run kRuns[] = {
#include "tokenizer/unicode_classes.inc"
};

std::uint8_t class_of(const Run& run) {
  const auto category = static_cast<GeneralCategory>(run.category);
  std::uint8_t bits = 0;
  if (category >= GeneralCategory::kLu && category <= GeneralCategory::kLo) {
    bits |= character::kLetter;
  }
  if (category >= GeneralCategory::kNd && category <= GeneralCategory::kNo) {
    bits |= character::kNumber;
  }
  if (run.extra & 1) bits |= character::kSpace | character::kBloomStop;
  if (run.extra & 2) bits |= character::kNumeric;
  if (run.extra & 4) bits |= character::kPunctuation;
  if (run.extra & 8) bits |= character::kWord;
  return bits;
}

// BLOOM's pattern is [^(\s|[.,!?…。，、।۔،])]: the parentheses and the bar are literal.
constexpr std::u32string_view kBloomStops = U"(|).,!?…。，、।۔،";

}  // namespace

const CharacterClasses& CharacterClasses::get() {
  static const CharacterClasses classes;
  return classes;
}

CharacterClasses::CharacterClasses() {
  std::map<Block, std::uint16_t> seen;
  const Run* run = kRuns;
  std::uint8_t bits = class_of(*run);
  for (std::uint32_t number = 0; number < first_.size(); ++number) {
    Block block;
    for (std::uint32_t i = 0; i < block.size(); ++i) {
      const std::uint32_t code_point = number * 64 + i;
      if (run + 1 != std::end(kRuns) && run[1].first == code_point) bits = class_of(*++run);
      block[i] = bits;
    }
    for (const char32_t stop : kBloomStops) {
      if (stop / 64 == number) block[stop % 64] |= character::kBloomStop;
    }
    if (number == 0) {
      block['\r'] |= character::kNewline;
      block['\n'] |= character::kNewline;
    }
    // Most blocks are as the one before.
    if (number != 0 &&
        std::equal(block.begin(), block.end(), blocks_.begin() + first_[number - 1] * 64)) {
      first_[number] = first_[number - 1];
      continue;
    }
    const auto [entry, is_new] = seen.try_emplace(block, static_cast<std::uint16_t>(seen.size()));
    if (is_new) blocks_.insert(blocks_.end(), block.begin(), block.end());
    first_[number] = entry->second;
  }
  std::copy_n(blocks_.begin() + first_[0] * 64, 64, ascii_.begin());
  std::copy_n(blocks_.begin() + first_[1] * 64, 64, ascii_.begin() + 64);
}

GeneralCategory CharacterClasses::category(char32_t code_point) const {
  const Run* run = std::upper_bound(
      std::begin(kRuns), std::end(kRuns), code_point,
      [](std::uint32_t value, const Run& candidate) { return value < candidate.first; });
  return static_cast<GeneralCategory>(run[-1].category);
}

}  // namespace tigerbot
