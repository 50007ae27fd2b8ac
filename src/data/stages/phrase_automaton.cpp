#include "data/stages/phrase_automaton.h"

#include <unicode/normalizer2.h>
#include <unicode/uchar.h>

#include <algorithm>
#include <bit>

#include "base/error.h"
#include "data/stages/chinese_script.h"

namespace tigerbot::data {
namespace {

/// `c` as phrases and texts are compared: one character, or itself where folding gives several.
char32_t fold(const icu::Normalizer2& folding, char32_t c) {
  const auto code = static_cast<UChar32>(c);
  if (!folding.isInert(code)) {
    UErrorCode status = U_ZERO_ERROR;
    const icu::UnicodeString folded = folding.normalize(icu::UnicodeString(code), status);
    if (U_SUCCESS(status) && folded.countChar32() == 1)
      c = static_cast<char32_t>(folded.char32At(0));
  }
  return to_simplified(c);
}

/// Signs that stand in ordinary text between words; all others between the characters of a word
/// are there to hide it.
bool is_plain_separator(char32_t c, CharacterClass kind) {
  if ((kind & kSpace) != 0) return true;
  constexpr std::u32string_view kPlain =
      U",.!?:;'\"()[]-/、。，！？：；（）「」『』《》〈〉【】…—–‘’“”";
  return kPlain.find(c) != std::u32string_view::npos;
}

}  // namespace

PhraseAutomaton::PhraseAutomaton(std::span<const std::string> phrases) { build(phrases); }

void PhraseAutomaton::build(std::span<const std::string> texts) {
  UErrorCode status = U_ZERO_ERROR;
  const icu::Normalizer2* folding = icu::Normalizer2::getNFKCCasefoldInstance(status);
  if (U_FAILURE(status)) fail_internal("ICU has no case folding data: {}", u_errorName(status));
  const CharacterClass* classes = character_classes();

  // Symbols are the folded characters that phrases have.
  std::vector<Symbol> numbers(kClassTableSize, kUnknown);
  Symbol next_symbol = kFirstSymbol;
  struct Entry {
    std::vector<std::uint32_t> symbols;
    Phrase phrase;
  };
  std::vector<Entry> entries;
  for (std::size_t index = 0; index < texts.size(); ++index) {
    Entry entry;
    entry.phrase.index = static_cast<std::uint32_t>(index);
    bool gap = false, letters = false;
    char32_t first = 0, last = 0;
    for (const char32_t original : decode_utf8(texts[index])) {
      const CharacterClass kind = class_of(classes, original);
      if ((kind & (kLetter | kDigit)) == 0) {
        gap = true;
        continue;
      }
      const char32_t c = fold(*folding, original);
      if (c >= kClassTableSize) continue;
      if (gap && !entry.symbols.empty() && entry.symbols.size() < 64)
        entry.phrase.gaps |= std::uint64_t{1} << entry.symbols.size();
      gap = false;
      letters |= (kind & kLetter) != 0;
      if (first == 0) first = c;
      last = c;
      if (numbers[c] == kUnknown) numbers[c] = next_symbol++;
      entry.symbols.push_back(numbers[c]);
      entry.phrase.ideographic |= (kind & kIdeographic) != 0;
    }
    if (entry.symbols.size() < 2 || entry.symbols.size() > kLongestPhrase || !letters) {
      ++ignored_;
      continue;
    }
    entry.phrase.length = static_cast<std::uint8_t>(entry.symbols.size());
    const auto spaced = [&](char32_t c) {
      const CharacterClass kind = class_of(classes, c);
      return (kind & (kLetter | kDigit)) != 0 && (kind & kIdeographic) == 0 &&
             script_of(kind) != Script::kThai;
    };
    entry.phrase.needs_start = spaced(first);
    entry.phrase.needs_end = spaced(last) && script_of(class_of(classes, last)) != Script::kHangul;
    entries.push_back(std::move(entry));
  }
  std::stable_sort(entries.begin(), entries.end(),
                   [](const Entry& a, const Entry& b) { return a.symbols < b.symbols; });

  symbols_.assign(kClassTableSize, kUnknown);
  for (char32_t c = 0; c < kClassTableSize; ++c) {
    const CharacterClass kind = classes[c];
    if ((kind & (kLetter | kDigit)) == 0) {
      symbols_[c] = kSeparator | (is_plain_separator(c, kind) ? 0 : kUnusualSeparator) |
                    (c == '\n' || c == '\r' ? kLineEnd : 0);
      continue;
    }
    const char32_t folded = fold(*folding, c);
    Symbol symbol = folded < kClassTableSize ? numbers[folded] : kUnknown;
    if (script_of(kind) == Script::kHangul)
      symbol |= kHangulKind;
    else if ((kind & kIdeographic) == 0 && script_of(kind) != Script::kThai)
      symbol |= kWordKind;
    symbols_[c] = symbol;
  }

  // Breadth first: a state is a range of the sorted entries that share `depth` symbols. States are
  // numbered in this order, so that those near the root, which most texts see, lie together.
  struct Node {
    std::size_t low, high, depth;
    std::uint32_t parent;
    Symbol symbol;
  };
  std::vector<Node> nodes = {{0, entries.size(), 0, 0, 0}};
  for (std::size_t state = 0; state < nodes.size(); ++state) {
    const Node node = nodes[state];
    depth_.push_back(static_cast<std::uint8_t>(node.depth));
    first_phrase_.push_back(static_cast<std::uint32_t>(phrases_.size()));
    std::size_t low = node.low;
    for (; low < node.high && entries[low].symbols.size() == node.depth; ++low)
      phrases_.push_back(entries[low].phrase);
    while (low < node.high) {
      const Symbol symbol = entries[low].symbols[node.depth];
      std::size_t high = low + 1;
      while (high < node.high && entries[high].symbols[node.depth] == symbol) ++high;
      nodes.push_back({low, high, node.depth + 1, static_cast<std::uint32_t>(state), symbol});
      low = high;
    }
  }
  first_phrase_.push_back(static_cast<std::uint32_t>(phrases_.size()));

  std::uint32_t bits = 6;
  while ((std::size_t{1} << bits) < 2 * nodes.size()) ++bits;
  edge_shift_ = 32 - bits;
  edges_.assign(std::size_t{1} << bits, Edge{});
  root_.assign(next_symbol, 0);
  for (std::uint32_t state = 1; state < nodes.size(); ++state) {
    const Node& node = nodes[state];
    if (node.parent == 0) {
      root_[node.symbol] = state;
      continue;
    }
    std::size_t slot = slot_of(node.parent, node.symbol);
    while (edges_[slot].state != 0) slot = (slot + 1) & (edges_.size() - 1);
    edges_[slot] = {node.parent, node.symbol, state};
  }

  // Failure links in order of depth: the state of the longest proper suffix that is a prefix.
  fail_.assign(nodes.size(), 0);
  output_link_.assign(nodes.size(), 0);
  const auto has_phrase = [&](std::uint32_t state) {
    return first_phrase_[state] != first_phrase_[state + 1];
  };
  for (std::uint32_t state = 1; state < nodes.size(); ++state) {
    std::uint32_t suffix = nodes[state].parent, target = 0;
    while (suffix != 0 && target == 0) {
      suffix = fail_[suffix];
      target = child(suffix, nodes[state].symbol);
    }
    fail_[state] = target;
    output_link_[state] = has_phrase(target) ? target : output_link_[target];
  }
  const auto mark = [&](std::uint32_t& target) {
    if (target != 0 && (has_phrase(target) || output_link_[target] != 0)) target |= kOutput;
  };
  for (std::uint32_t& target : root_) mark(target);
  for (Edge& edge : edges_) mark(edge.target);

  std::vector<Beginning> beginnings;
  for (const Entry& entry : entries)
    beginnings.push_back({entry.symbols[0], entry.symbols[1],
                          entry.symbols.size() > 2 ? entry.symbols[2] : Symbol{0}});
  note_beginnings(beginnings);
  words_.assign((std::size_t{1} << (32 - kWordShift)) / 64, 0);
  std::vector<std::uint8_t> letters(next_symbol, 0);  // 1 to 26 for a to z
  for (std::uint8_t letter = 1; letter <= 26; ++letter) {
    const Symbol number = symbols_['a' - 1u + letter] & kSymbolMask;
    if (number >= kFirstSymbol) letters[number] = letter;
  }
  for (const Entry& entry : entries) note_word_start(entry.symbols, entry.phrase, letters);
}

void PhraseAutomaton::note_beginnings(std::span<const Beginning> beginnings) {
  std::uint32_t bits = 6;
  while (bits < 24 && (std::size_t{1} << bits) < 16 * beginnings.size()) ++bits;
  pair_shift_ = triple_shift_ = 32 - bits;
  pairs_.assign(std::size_t{1} << (bits - 6), 0);
  triples_ = pairs_;
  const auto set = [](std::vector<std::uint64_t>& filter, std::size_t bit) {
    filter[bit / 64] |= std::uint64_t{1} << (bit % 64);
  };
  for (const Beginning& each : beginnings) {
    set(pairs_, pair_bit(each.first, each.second));
    set(triples_, triple_bit(each.first, each.second, each.third));
  }
  for (Symbol& symbol : symbols_)
    if ((symbol & kSymbolMask) >= kFirstSymbol && root_[symbol & kSymbolMask] != 0)
      symbol |= kBegins;

  const auto note = [&](std::uint32_t a, std::uint32_t b, std::uint32_t c) {
    const std::uint32_t index = a << 10 | b << 5 | c;
    begins_[index / 64] |= std::uint64_t{1} << (index % 64);
  };
  const auto after = [&](std::uint32_t state, std::uint32_t letter) {
    const Symbol number = symbols_['a' - 1 + letter] & kSymbolMask;
    return number < kFirstSymbol ? 0 : child(state & ~kOutput, number);
  };
  for (std::uint32_t a = 1; a <= 26; ++a) {
    const std::uint32_t first = after(0, a);
    if (first == 0) continue;
    note(a, 0, 0);
    for (std::uint32_t b = 1; b <= 26; ++b) {
      const std::uint32_t second = after(first, b);
      if (second == 0) continue;
      note(a, b, 0);
      for (std::uint32_t c = 1; c <= 26; ++c)
        if (after(second, c) != 0) note(a, b, c);
    }
  }
}

void PhraseAutomaton::note_word_start(std::span<const Symbol> symbols, const Phrase& phrase,
                                      std::span<const std::uint8_t> letters) {
  std::uint32_t code = 0;
  for (std::size_t k = 0; k < std::min(symbols.size(), kWordStart); ++k) {
    if (letters[symbols[k]] == 0) return;
    code = code << 5 | letters[symbols[k]];
    const std::size_t length = k + 1;
    const bool whole_word = length == symbols.size() || (phrase.gaps >> length & 1) != 0;
    if (length < kWordStart && !(length > 1 && whole_word)) continue;
    const std::size_t bit = word_bit(code);
    words_[bit / 64] |= std::uint64_t{1} << (bit % 64);
  }
}

bool PhraseAutomaton::accepts(const Phrase& phrase, const History& history, Symbol next_kind,
                              Symbol last_kind) const {
  if (history.count < phrase.length) return false;
  const std::size_t first = history.count - phrase.length;
  if (phrase.needs_start && !history.at_start[first % 64]) return false;
  if (phrase.needs_end && next_kind == last_kind) return false;
  std::uint64_t gaps = 0, unusual = 0, broad = 0;
  for (std::size_t k = 1; k < phrase.length; ++k) {
    const std::uint8_t gap = history.gap[(first + k) % 64];
    if (gap == 0) continue;
    gaps |= std::uint64_t{1} << k;
    if ((gap & kUnusualGap) != 0) unusual |= std::uint64_t{1} << k;
    if ((gap & kBroadGap) != 0) broad |= std::uint64_t{1} << k;
  }
  if ((phrase.gaps & ~gaps) != 0 && !phrase.ideographic) return false;
  const std::uint64_t extra = gaps & ~phrase.gaps;
  if (extra == 0) return true;
  if ((extra & broad) != 0) return false;
  if ((extra & ~unusual) == 0) return true;
  return phrase.length >= 3 && std::popcount(gaps) == phrase.length - 1;
}

std::vector<PhraseMatch> PhraseAutomaton::matches(std::string_view text) const {
  std::vector<PhraseMatch> found;
  scan(text, [&](const PhraseMatch& match) { found.push_back(match); });
  return found;
}

std::size_t PhraseAutomaton::bytes() const {
  return symbols_.size() * sizeof(Symbol) + edges_.size() * sizeof(Edge) +
         (pairs_.size() + triples_.size() + words_.size()) * sizeof(std::uint64_t) +
         (root_.size() + fail_.size() + output_link_.size() + first_phrase_.size()) *
             sizeof(std::uint32_t) +
         phrases_.size() * sizeof(Phrase);
}

}  // namespace tigerbot::data
