#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "data/stages/characters.h"

/// Finds any of many phrases in a text at once, in variants too: an Aho-Corasick automaton (Aho and
/// Corasick 1975) over folded characters, its transitions in one
/// open hash table and, for the root, in an array.
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
  static constexpr Symbol kBegins = 0x10000000;  ///< a phrase begins with it

  static constexpr std::uint32_t kOutput = 0x80000000;  ///< in a target: a phrase ends there
  /// A transition; state 0 marks a free slot (the root's own are in root_).
  struct Edge {
    std::uint32_t state = 0, symbol = 0, target = 0;
  };
  struct Phrase {
    std::uint32_t index = 0;
    std::uint8_t length = 0;  ///< in symbols
    bool needs_start = false, needs_end = false, ideographic = false;
    std::uint64_t gaps = 0;  ///< bit k: a separator before symbol k
  };
  /// Separators between two characters of a match.
  static constexpr int kMostSeparators = 8;
  static constexpr std::uint8_t kPlainGap = 1, kUnusualGap = 2, kBroadGap = 4;

  /// The last 64 symbols of the text.
  struct History {
    std::array<std::size_t, 64> begin;
    std::array<std::uint8_t, 64> gap;  ///< kinds of the separators before the symbol
    std::array<bool, 64> at_start;     ///< no letter of the same word stands before it
    std::size_t count = 0;
  };

  void build(std::span<const std::string> phrases);
  /// The first symbols of a phrase, 0 where it is shorter.
  struct Beginning {
    Symbol first = 0, second = 0, third = 0;
  };
  void note_beginnings(std::span<const Beginning> beginnings);
  void note_word_start(std::span<const Symbol> symbols, const Phrase& phrase,
                       std::span<const std::uint8_t> letters);
  /// Where nothing has begun: passes over all at which no phrase can begin.
  const unsigned char* skip_to_beginning(const unsigned char* at, const unsigned char* end,
                                         Symbol& previous_kind) const;
  bool accepts(const Phrase& phrase, const History& history, Symbol next_kind,
               Symbol last_kind) const;
  template <typename OnMatch>
  void report(std::uint32_t state, const History& history, std::size_t end, Symbol next_kind,
              Symbol last_kind, OnMatch&& on_match) const;

  Symbol symbol_of(char32_t c) const { return c < kClassTableSize ? symbols_[c] : kSeparator; }

  /// Five bits for the letter of an ASCII byte, 0 for all else.
  static std::uint32_t letter_of(unsigned char byte) {
    const auto letter = static_cast<unsigned char>((byte | 0x20) - 'a' + 1);
    return letter <= 26 && byte >= 'A' ? letter : 0;
  }
  /// False if no phrase begins with the ASCII letters at `at`, which begin a word.
  bool may_begin(const unsigned char* at, const unsigned char* end) const {
    const std::uint32_t first = letter_of(*at);
    if (first == 0 || end - at < 3) return true;
    // The word's first five letters, or all of a shorter one.
    std::uint32_t code = first;
    std::size_t letters = 1;
    for (; letters < kWordStart && at + letters < end; ++letters) {
      const std::uint32_t letter = letter_of(at[letters]);
      if (letter == 0) break;
      code = code << 5 | letter;
    }
    if (letters == kWordStart) return may_be(words_, word_bit(code));
    // A phrase that goes on after one ordinary separator has one there too, unless all its
    // characters are cut apart, and then the first word has one letter.
    if (letters > 1 && end - at > static_cast<std::ptrdiff_t>(letters) + 1 && at[letters] < 0x80 &&
        at[letters + 1] < 0x80) {
      const Symbol next = symbols_[at[letters]], after = symbols_[at[letters + 1]];
      if ((next & kSymbolMask) == kSeparator && (next & kUnusualSeparator) == 0 &&
          (after & kSymbolMask) != kSeparator)
        return may_be(words_, word_bit(code));
    }
    const std::uint32_t second = letter_of(at[1]);
    // Digits and characters past ASCII go the long way.
    if (second == 0 && is_word_byte(at[1])) return true;
    const std::uint32_t third = second == 0 ? 0 : letter_of(at[2]);
    if (second != 0 && third == 0 && is_word_byte(at[2])) return true;
    const std::uint32_t index = first << 10 | second << 5 | third;
    return (begins_[index / 64] >> (index % 64) & 1) != 0;
  }
  static bool is_word_byte(unsigned char byte) {
    return byte >= 0x80 || (byte >= '0' && byte <= '9');
  }
  std::size_t slot_of(std::uint32_t state, Symbol number) const {
    return (state * 0x9E3779B1u ^ number * 0x85EBCA77u) >> edge_shift_;
  }
  /// The state after a symbol's number from `state`, with kOutput where a phrase ends there, or 0.
  std::uint32_t child(std::uint32_t state, Symbol number) const {
    if (state == 0) return root_[number];
    for (std::size_t slot = slot_of(state, number);; slot = (slot + 1) & (edges_.size() - 1)) {
      const Edge& edge = edges_[slot];
      if (edge.state == 0) return 0;
      if (edge.state == state && edge.symbol == number) return edge.target;
    }
  }

  /// Filters, which may err towards yes.
  static bool may_be(const std::vector<std::uint64_t>& filter, std::size_t bit) {
    return (filter[bit / 64] >> (bit % 64) & 1) != 0;
  }
  static constexpr std::size_t kWordStart = 5;
  static constexpr std::uint32_t kWordShift = 32 - 17;
  /// A bit of words_: five letters that a phrase begins with, or a whole first word of two to four.
  static std::size_t word_bit(std::uint32_t code) { return code * 0x9E3779B1u >> kWordShift; }
  std::vector<std::uint64_t> words_;

  /// Bits of three letters (0: no letter there) that words of phrases begin with.
  std::array<std::uint64_t, 512> begins_{};
  /// The first two symbols of a phrase, as a bit of pairs_ (a filter that may err towards yes).
  std::size_t pair_bit(Symbol first, Symbol second) const {
    return ((first & kSymbolMask) * 0x9E3779B1u ^ (second & kSymbolMask) * 0x85EBCA77u) >>
           pair_shift_;
  }

  /// Likewise of the first three; `third` 0 for a phrase of two.
  std::size_t triple_bit(Symbol first, Symbol second, Symbol third) const {
    return ((first & kSymbolMask) * 0x9E3779B1u ^ (second & kSymbolMask) * 0x85EBCA77u ^
            (third & kSymbolMask) * 0xC2B2AE3Du) >>
           triple_shift_;
  }
  /// The next symbol after at most as many separators as a match may have, else kUnknown.
  Symbol next_symbol(const unsigned char*& at, const unsigned char* end) const {
    for (int separators = 0; at < end && separators <= kMostSeparators; ++separators) {
      const Symbol symbol = symbol_of(next_character(at, end));
      if ((symbol & kSymbolMask) != kSeparator) return symbol;
    }
    return kUnknown;
  }
  /// False if no phrase begins with `first` and what follows it at `at`.
  bool can_begin(Symbol first, const unsigned char* at, const unsigned char* end) const {
    const Symbol second = next_symbol(at, end);
    return may_be(pairs_, pair_bit(first, second)) && goes_on(first, second, at, end);
  }
  bool goes_on(Symbol first, Symbol second, const unsigned char* at,
               const unsigned char* end) const {
    if (may_be(triples_, triple_bit(first, second, 0))) return true;
    return may_be(triples_, triple_bit(first, second, next_symbol(at, end)));
  }

  std::vector<std::uint64_t> pairs_, triples_;
  std::uint32_t pair_shift_ = 26, triple_shift_ = 26;
  std::vector<Symbol> symbols_;
  std::vector<std::uint32_t> root_;  ///< targets by symbol
  std::vector<Edge> edges_;
  std::uint32_t edge_shift_ = 26;
  std::vector<std::uint32_t> fail_, output_link_, first_phrase_;
  std::vector<std::uint8_t> depth_;  ///< symbols from the root to each state
  std::vector<Phrase> phrases_;      ///< those of a state together, at first_phrase_[state]
  std::size_t ignored_ = 0;
};

inline const unsigned char* PhraseAutomaton::skip_to_beginning(const unsigned char* at,
                                                               const unsigned char* end,
                                                               Symbol& previous_kind) const {
  const Symbol* const symbols = symbols_.data();
  Symbol previous = previous_kind;
  while (at < end) {
    if (*at < 0x80) {
      const bool word = (symbols[*at] & kKindMask) == kWordKind;
      if (word && previous != kWordKind && may_begin(at, end) &&
          can_begin(symbols[*at], at + 1, end))
        break;
      previous = word ? kWordKind : 0;
      ++at;
      while (word && at < end && *at < 0x80 && (symbols[*at] & kKindMask) == kWordKind) ++at;
      continue;
    }
    const unsigned char* after = at;
    Symbol symbol = symbol_of(next_character(after, end));
    for (;;) {
      const Symbol kind = symbol & kKindMask;
      const bool begins = (symbol & kBegins) != 0 && (kind == 0 || kind != previous);
      if (!begins) {
        previous = kind;
        at = after;
        break;
      }
      const unsigned char* peek = after;
      const Symbol second = after < end ? symbol_of(next_character(peek, end)) : kSeparator;
      const bool adjacent = (second & kSymbolMask) != kSeparator;
      if (adjacent ? may_be(pairs_, pair_bit(symbol, second)) && goes_on(symbol, second, peek, end)
                   : can_begin(symbol, after, end)) {
        previous_kind = previous;
        return at;
      }
      previous = kind;
      at = after;
      if (!adjacent || at == end || *at < 0x80) break;
      symbol = second;
      after = peek;
    }
  }
  previous_kind = previous;
  return at;
}

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
  History history;
  std::uint32_t state = 0;
  Symbol previous_kind = 0;
  std::uint8_t gap = 0, gap_length = 0;
  for (const unsigned char* at = begin; at < end;) {
    if (state == 0) {
      at = skip_to_beginning(at, end, previous_kind);
      if (at == end) break;
    }
    const unsigned char* const start = at;
    const Symbol symbol = symbol_of(next_character(at, end));
    const Symbol number = symbol & kSymbolMask;
    const Symbol kind = symbol & kKindMask;
    if (number == kSeparator) {
      previous_kind = 0;
      if (state == 0) continue;
      gap |= (symbol & kUnusualSeparator) != 0 ? kUnusualGap : kPlainGap;
      if (++gap_length > 3 || (symbol & kLineEnd) != 0) gap |= kBroadGap;
      if (gap_length > kMostSeparators) state = 0;
      continue;
    }
    const bool at_start = kind == 0 || kind != previous_kind;
    previous_kind = kind;
    if (state == 0) gap = 0;
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
    // A suffix that begins inside a word begins no phrase: it is passed over.
    std::uint32_t target = state == 0 && !at_start ? 0 : child(state, number);
    while (target == 0 && state != 0) {
      do {
        state = fail_[state];
      } while (state != 0 && !history.at_start[(history.count - 1 - depth_[state]) % 64]);
      target = state == 0 && !at_start ? 0 : child(state, number);
    }
    state = target & ~kOutput;
    if ((target & kOutput) != 0) {
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
