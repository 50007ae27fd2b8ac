#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string_view>

namespace tigerbot {

/// Hand-written scanners for the pre-tokenizers that most byte-level models use. Each gives exactly
/// the pieces of the regular expression that it is named for.
enum class ScannerKind {
  /// GPT-2: 's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+
  kGpt2,
  /// SmolLM2, StarCoder: every digit alone, then GPT-2's pattern on what is between.
  kGpt2Digits,
  /// Llama-3: contractions in any case, numbers in groups of three, one symbol before a word,
  /// newlines with what precedes them.
  kLlama3,
  /// Qwen2: as Llama-3, every number alone.
  kQwen2,
  /// BLOOM:  ?[^(\s|[.,!?…。，、।۔،])]+ and what lies between its matches.
  kBloom,
};

/// Writes the ends of the next pieces of `text` after `begin` (offsets into `text`), as many as
/// `ends` holds or the text has; returns how many. `text` must be valid UTF-8 and `begin` the end
/// of a piece. Every piece has at least one byte and together they are the whole text.
std::size_t scan_words(ScannerKind kind, std::string_view text, std::size_t begin,
                       std::span<std::size_t> ends);

/// A place at or after `position` where no scanner's piece can go on over it, whatever came before:
/// between an ASCII letter and a space. The end of the text if there is none.
std::size_t find_safe_split(std::string_view text, std::size_t position);

/// The scanner of a Split pre-tokenizer's regular expression (behaviour Isolated), if there is one.
std::optional<ScannerKind> scanner_of_pattern(std::string_view pattern);

}  // namespace tigerbot
