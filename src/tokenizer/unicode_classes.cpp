#include "tokenizer/unicode_classes.h"

#include <algorithm>
#include <iterator>
#include <map>

namespace tigerbot {
namespace {

// A run of code points alike: from `first` up to the next run's first.
struct Run {
  std::uint32_t first;
  std::uint8_t category;
  std::uint8_t extra;  // 1: \s, 2: is_numeric, 4: punctuation, 8: Rust's \w
};
constexpr Run kRuns[] = {
#include "tokenizer/unicode_classes.inc"
};

std::uint8_t class_of(std::uint32_t code_point, const Run& run) {
  const auto category = static_cast<GeneralCategory>(run.category);
  std::uint8_t bits = 0;
  if (category >= GeneralCategory::kLu && category <= GeneralCategory::kLo)
    bits |= character::kLetter;
  if (category >= GeneralCategory::kNd && category <= GeneralCategory::kNo)
    bits |= character::kNumber;
  if (run.extra & 1) bits |= character::kSpace;
  if (run.extra & 2) bits |= character::kNumeric;
  if (run.extra & 4) bits |= character::kPunctuation;
  if (run.extra & 8) bits |= character::kWord;
  if (code_point == '\r' || code_point == '\n') bits |= character::kNewline;
  // BLOOM's pattern is [^(\s|[.,!?…。，、।۔،])]: the parentheses and the bar are literal.
  constexpr char32_t kStops[] = U"(|).,!?…。，、।۔،";
  if ((run.extra & 1) ||
      std::find(std::begin(kStops), std::end(kStops) - 1, code_point) != std::end(kStops) - 1) {
    bits |= character::kBloomStop;
  }
  return bits;
}

}  // namespace

const CharacterClasses& CharacterClasses::get() {
  static const CharacterClasses classes;
  return classes;
}

CharacterClasses::CharacterClasses() {
  std::map<std::array<std::uint8_t, 64>, std::uint16_t> seen;
  const Run* run = kRuns;
  for (std::uint32_t block = 0; block < first_.size(); ++block) {
    std::array<std::uint8_t, 64> classes;
    for (std::uint32_t i = 0; i < 64; ++i) {
      const std::uint32_t code_point = block * 64 + i;
      while (run + 1 != std::end(kRuns) && run[1].first <= code_point) ++run;
      classes[i] = class_of(code_point, *run);
    }
    const auto [entry, is_new] = seen.try_emplace(classes, static_cast<std::uint16_t>(seen.size()));
    if (is_new) blocks_.insert(blocks_.end(), classes.begin(), classes.end());
    first_[block] = entry->second;
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
