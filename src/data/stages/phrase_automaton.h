#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "data/stages/characters.h"

/// Finds any of many phrases in a text at once, in variants too: an Aho-Corasick automaton (Aho and
/// Corasick 1975) over folded characters, in a double array (Aoe 1989).
namespace tigerbot::data {

struct PhraseMatch {
  std::size_t begin = 0, end = 0;  ///< bytes of the text
  std::uint32_t phrase = 0;        ///< index in the list that the automaton was made from
};

/// Characters are folded before they are compared: letter case, full-width and other compatibility
/// forms (NFKC case folding), traditional Chinese to simplified. Punctuation, symbols, spaces and
/// invisible characters are passed over, so that inserted separators hide nothing: a match that has
/// separators which the phrase has not counts if they are unusual ("赌*博") or stand between all
/// its characters ("赌 博 网"), at most three at a place and none of them a line end.
///
/// A phrase that begins (ends) with a letter or digit of a script written with spaces matches only
/// at the beginning (end) of a word; one that begins with Hangul only where no Hangul stands
/// before. Immutable after construction and safe for many threads.
class PhraseAutomaton {
 public:
  /// Longest phrase, in folded characters without separators.
  static constexpr std::size_t kLongestPhrase = 60;

  PhraseAutomaton() : PhraseAutomaton(std::span<const std::string>{}) {}

  /// Phrases that can't be matched (empty once folded, a single character, digits alone, too long)
  /// are passed over; ignored() counts them.
  explicit PhraseAutomaton(std::span<const std::string> phrases);

  std::size_t ignored() const { return ignored_; }
  /// Memory of the tables.
  std::size_t bytes() const;

  /// Calls on_match(PhraseMatch) for every match, by their ends, the longest first.
  template <typename OnMatch>
  void scan(std::string_view text, OnMatch&& on_match) const;

  std::vector<PhraseMatch> matches(std::string_view text) const;

 private:
  /// What a character is to the scan: a symbol's number in the low bits, and its kind.
  using Symbol = std::uint32_t;
  static constexpr Symbol kSymbolMask = 0x00FFFFFF;
  static constexpr Symbol kUnknown = 0, kSeparator = 1, kFirstSymbol = 2;
  static constexpr Symbol kKindMask = 0x03000000;
  static constexpr Symbol kWordKind = 0x01000000, kHangulKind = 0x02000000;
  static constexpr Symbol kUnusualSeparator = 0x04000000, kLineEnd = 0x08000000;

  static constexpr std::uint32_t kOutput = 0x80000000;  ///< in Cell::base: a phrase ends here
  struct Cell {
    std::uint32_t base = 0;
    std::uint32_t parent = 0xFFFFFFFF;
  };
  struct Phrase {
    std::uint32_t index = 0;
    std::uint8_t length = 0;  ///< in symbols
    bool needs_start = false, needs_end = false, ideographic = false;
    std::uint64_t gaps = 0;  ///< bit k: a separator before symbol k
  };
  static constexpr std::uint8_t kPlainGap = 1, kUnusualGap = 2, kBroadGap = 4;

  /// The last 64 symbols of the text.
  struct History {
    std::array<std::size_t, 64> begin;
    std::array<std::uint8_t, 64> gap;  ///< kinds of the separators before the symbol
    std::array<bool, 64> at_start;     ///< no letter of the same word stands before it
    std::size_t count = 0;
  };

  void build(std::span<const std::string> phrases);
  bool accepts(const Phrase& phrase, const History& history, Symbol next_kind,
               Symbol last_kind) const;
  template <typename OnMatch>
  void report(std::uint32_t state, const History& history, std::size_t end, Symbol next_kind,
              Symbol last_kind, OnMatch&& on_match) const;

  Symbol symbol_of(char32_t c) const { return c < kClassTableSize ? symbols_[c] : kSeparator; }

  std::vector<Symbol> symbols_;
  std::vector<Cell> cells_;
  std::vector<std::uint32_t> fail_, output_link_, first_phrase_;
  std::vector<Phrase> phrases_;  ///< those of a state together, at first_phrase_[state]
  std::size_t ignored_ = 0;
};

template <typename OnMatch>
void PhraseAutomaton::report(std::uint32_t state, const History& history, std::size_t end,
                             Symbol next_kind, Symbol last_kind, OnMatch&& on_match) const {
  for (; state != 0; state = output_link_[state]) {
    for (std::uint32_t k = first_phrase_[state]; k < first_phrase_[state + 1]; ++k) {
      const Phrase& phrase = phrases_[k];
      if (!accepts(phrase, history, next_kind, last_kind)) continue;
      const std::size_t begin = history.begin[(history.count - phrase.length) % 64];
      on_match(PhraseMatch{begin, end, phrase.index});
    }
  }
}

template <typename OnMatch>
void PhraseAutomaton::scan(std::string_view text, OnMatch&& on_match) const {
  if (phrases_.empty()) return;
  const unsigned char* const begin = bytes_of(text);
  const unsigned char* const end = begin + text.size();
  const Symbol* const symbols = symbols_.data();
  const Cell* const cells = cells_.data();
  History history;
  std::uint32_t state = 0;
  Symbol previous_kind = 0;
  std::uint8_t gap = 0, gap_length = 0;
  for (const unsigned char* at = begin; at < end;) {
    const unsigned char* const start = at;
    const Symbol symbol = symbol_of(next_character(at, end));
    const Symbol number = symbol & kSymbolMask;
    const Symbol kind = symbol & kKindMask;
    if (number == kSeparator) {
      previous_kind = 0;
      if (state == 0) continue;
      gap |= (symbol & kUnusualSeparator) != 0 ? kUnusualGap : kPlainGap;
      if (++gap_length > 3 || (symbol & kLineEnd) != 0) gap |= kBroadGap;
      if (gap_length > 8) state = 0;
      continue;
    }
    const bool at_start = kind == 0 || kind != previous_kind;
    previous_kind = kind;
    if (state == 0) {
      // No phrase can begin inside a word: pass over the rest of it.
      if (!at_start && kind == kWordKind) {
        while (at < end && *at < 0x80 && (symbols[*at] & kKindMask) == kWordKind) ++at;
        continue;
      }
      gap = 0;
    }
    if (number == kUnknown) {
      state = 0;
      gap = gap_length = 0;
      continue;
    }
    const std::size_t slot = history.count++ % 64;
    history.begin[slot] = static_cast<std::size_t>(start - begin);
    history.gap[slot] = gap;
    history.at_start[slot] = at_start;
    gap = gap_length = 0;
    for (;;) {
      const std::uint32_t next = (cells[state].base & ~kOutput) + number;
      if (cells[next].parent == state) {
        state = next;
        break;
      }
      if (state == 0) break;
      state = fail_[state];
    }
    if ((cells[state].base & kOutput) != 0) {
      Symbol next_kind = 0;
      if (at < end) {
        const unsigned char* peek = at;
        next_kind = symbol_of(next_character(peek, end)) & kKindMask;
      }
      report(state, history, static_cast<std::size_t>(at - begin), next_kind, kind, on_match);
    }
  }
}

}  // namespace tigerbot::data
