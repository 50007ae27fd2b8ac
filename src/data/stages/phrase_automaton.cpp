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

  // Breadth first: a node is a range of the sorted entries that share `depth` symbols. Children
  // take the first free cells that fit them all.
  struct Node {
    std::size_t low, high, depth;
    std::uint32_t state;
  };
  cells_.assign(std::max<std::size_t>(1024, next_symbol + 2), Cell{});
  std::vector<char> used(cells_.size(), 0);
  used[0] = 1;
  std::vector<Node> queue = {{0, entries.size(), 0, 0}};
  std::vector<std::pair<std::uint32_t, std::vector<Phrase>>> state_outputs;
  std::uint32_t search = 1;
  fail_.assign(cells_.size(), 0);
  for (std::size_t q = 0; q < queue.size(); ++q) {
    const Node node = queue[q];
    std::size_t low = node.low;
    std::vector<Phrase> here;
    for (; low < node.high && entries[low].symbols.size() == node.depth; ++low)
      here.push_back(entries[low].phrase);
    if (!here.empty()) state_outputs.emplace_back(node.state, std::move(here));
    std::vector<std::pair<std::uint32_t, std::size_t>> children;  // symbol, first entry
    for (std::size_t k = low; k < node.high; ++k)
      if (children.empty() || children.back().first != entries[k].symbols[node.depth])
        children.emplace_back(entries[k].symbols[node.depth], k);
    if (children.empty()) {
      cells_[node.state].base = 0;
      continue;
    }
    while (search < used.size() && used[search]) ++search;
    const std::uint32_t lowest = children.front().first, highest = children.back().first;
    std::uint32_t base = search > lowest ? search - lowest : 1;
    std::size_t tries = 0;
    for (;; ++base) {
      if (++tries == 4096 && base + lowest + 1 < used.size())
        base = static_cast<std::uint32_t>(used.size()) - lowest;
      if (base + highest + next_symbol + 1 > used.size()) {
        const std::size_t size = (base + highest + next_symbol + 1) * 5 / 4;
        cells_.resize(size);
        used.resize(size, 0);
        fail_.resize(size, 0);
      }
      const bool fits = std::none_of(children.begin(), children.end(),
                                     [&](const auto& child) { return used[base + child.first]; });
      if (fits) break;
    }
    cells_[node.state].base = base;
    for (std::size_t k = 0; k < children.size(); ++k) {
      const std::uint32_t state = base + children[k].first;
      used[state] = 1;
      cells_[state].parent = node.state;
      const std::size_t high = k + 1 < children.size() ? children[k + 1].second : node.high;
      queue.push_back({children[k].second, high, node.depth + 1, state});
    }
  }
  // A transition looks at base + symbol for any symbol: the table must reach that far.
  std::uint32_t last_base = 0;
  for (const Node& node : queue) last_base = std::max(last_base, cells_[node.state].base);
  std::size_t size = last_base + next_symbol + 1;
  for (std::size_t k = size; k < used.size(); ++k)
    if (used[k]) size = k + 1;
  cells_.resize(size);
  fail_.resize(size, 0);

  std::sort(state_outputs.begin(), state_outputs.end(),
            [](const auto& a, const auto& b) { return a.first < b.first; });
  first_phrase_.assign(size + 1, 0);
  std::size_t next_output = 0;
  for (std::size_t state = 0; state < size; ++state) {
    first_phrase_[state] = static_cast<std::uint32_t>(phrases_.size());
    if (next_output < state_outputs.size() && state_outputs[next_output].first == state) {
      const auto& list = state_outputs[next_output++].second;
      phrases_.insert(phrases_.end(), list.begin(), list.end());
    }
  }
  first_phrase_[size] = static_cast<std::uint32_t>(phrases_.size());

  // Failure links in order of depth: the state of the longest proper suffix that is a prefix.
  output_link_.assign(size, 0);
  const auto has_phrase = [&](std::uint32_t state) {
    return first_phrase_[state] != first_phrase_[state + 1];
  };
  for (const Node& node : queue) {
    const std::uint32_t state = node.state;
    if (state != 0) {
      const std::uint32_t parent = cells_[state].parent;
      const std::uint32_t symbol = state - cells_[parent].base;
      std::uint32_t suffix = parent;
      std::uint32_t target = 0;
      while (suffix != 0) {
        suffix = fail_[suffix];
        const std::uint32_t next = cells_[suffix].base + symbol;
        if (next < size && cells_[next].parent == suffix) {
          target = next;
          break;
        }
      }
      fail_[state] = target;
      output_link_[state] = has_phrase(target) ? target : output_link_[target];
    }
  }
  for (const Node& node : queue)
    if (has_phrase(node.state) || output_link_[node.state] != 0) cells_[node.state].base |= kOutput;
  note_beginnings();
}

std::uint32_t PhraseAutomaton::child(std::uint32_t state, Symbol symbol) const {
  const std::uint32_t next = (cells_[state].base & ~kOutput) + (symbol & kSymbolMask);
  return next < cells_.size() && cells_[next].parent == state ? next : 0;
}

void PhraseAutomaton::note_beginnings() {
  const auto note = [&](std::uint32_t a, std::uint32_t b, std::uint32_t c) {
    const std::uint32_t index = a << 10 | b << 5 | c;
    begins_[index / 64] |= std::uint64_t{1} << (index % 64);
  };
  // Children of the root and of its children.
  std::vector<std::pair<std::uint32_t, std::uint32_t>> pairs;
  const auto base_of = [&](std::uint32_t state) { return cells_[state].base & ~kOutput; };
  std::vector<char> begins(cells_.size(), 0);
  for (std::uint32_t state = 1; state < cells_.size(); ++state) {
    const std::uint32_t parent = cells_[state].parent;
    if (parent == 0) begins[state - base_of(0)] = 1;
    if (parent != 0 && parent < cells_.size() && cells_[parent].parent == 0)
      pairs.emplace_back(parent - base_of(0), state - base_of(parent));
  }
  std::uint32_t bits = 6;
  while (bits < 24 && (std::size_t{1} << bits) < 16 * pairs.size()) ++bits;
  pair_shift_ = 32 - bits;
  pairs_.assign(std::size_t{1} << (bits - 6), 0);
  for (const auto& [first, second] : pairs) {
    const std::size_t bit = pair_bit(first, second);
    pairs_[bit / 64] |= std::uint64_t{1} << (bit % 64);
  }
  for (Symbol& symbol : symbols_)
    if ((symbol & kSymbolMask) >= kFirstSymbol && begins[symbol & kSymbolMask]) symbol |= kBegins;

  const auto symbol = [&](std::uint32_t letter) { return symbols_['a' - 1 + letter]; };
  for (std::uint32_t a = 1; a <= 26; ++a) {
    const std::uint32_t first = child(0, symbol(a));
    if (first == 0) continue;
    note(a, 0, 0);
    for (std::uint32_t b = 1; b <= 26; ++b) {
      const std::uint32_t second = child(first, symbol(b));
      if (second == 0) continue;
      note(a, b, 0);
      // A phrase of two letters may stand before a third that belongs to it no more (CJK text).
      const bool whole = (cells_[second].base & kOutput) != 0;
      for (std::uint32_t c = 1; c <= 26; ++c)
        if (whole || child(second, symbol(c)) != 0) note(a, b, c);
    }
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
  return symbols_.size() * sizeof(Symbol) + cells_.size() * sizeof(Cell) +
         (fail_.size() + output_link_.size() + first_phrase_.size()) * sizeof(std::uint32_t) +
         phrases_.size() * sizeof(Phrase);
}

}  // namespace tigerbot::data
