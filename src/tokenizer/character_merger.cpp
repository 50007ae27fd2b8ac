#include "tokenizer/character_merger.h"

#include <algorithm>

#include "tokenizer/space_words.h"
#include "tokenizer/utf8.h"

namespace tigerbot {
namespace {

constexpr char32_t kSpaceCodePoint = 0x2581;
constexpr std::pair<CharacterMerger::Symbol, CharacterMerger::Symbol> kNoParts{-1, -1};
constexpr std::size_t kPageSize = 256;
constexpr std::size_t kPages = 0x110000 / kPageSize;

// An unknown character as a symbol: it merges with nothing and remembers what it is.
CharacterMerger::Symbol unknown_symbol(char32_t code_point) {
  return -1 - static_cast<CharacterMerger::Symbol>(code_point);
}

}  // namespace

CharacterMerger::CharacterMerger(Rules rules)
    : rules_(std::move(rules)), merges_(rules_.merges, rules_.joins), pages_(kPages, 0) {
  // Page 0 is empty and serves all code points without symbols; symbols are stored plus one.
  page_symbols_.assign(kPageSize, 0);
  code_points_.assign(rules_.ids.size(), 0);
  for (const auto& [code_point, symbol] : rules_.characters) {
    std::int32_t& page = pages_[code_point / kPageSize];
    if (page == 0) {
      page = static_cast<std::int32_t>(page_symbols_.size() / kPageSize);
      page_symbols_.resize(page_symbols_.size() + kPageSize, 0);
    }
    page_symbols_[std::size_t(page) * kPageSize + code_point % kPageSize] = symbol + 1;
    code_points_[symbol] = code_point;
  }
  split_before_space_ = rules_.may_split;
  const Symbol space = symbol_of(kSpaceCodePoint);
  for (const auto& [left, right] : rules_.joins) {
    if (right == space && left != space) split_before_space_ = false;
  }
  rules_.merges = {};
  rules_.joins = {};
  rules_.characters = {};
}

CharacterMerger::Symbol CharacterMerger::symbol_of(char32_t code_point) const {
  const Symbol stored = page_symbols_[std::size_t(pages_[code_point / kPageSize]) * kPageSize +
                                      code_point % kPageSize];
  return stored == 0 ? unknown_symbol(code_point) : stored - 1;
}

void CharacterMerger::encode(std::string_view text, bool& after_unknown,
                             std::vector<TokenId>& ids) const {
  if (text.empty()) return;
  const auto scratch = scratch_pool_.borrow();
  std::vector<TokenId>& word_ids = scratch->word_ids;
  const char* const readable_end = text.data() + text.size();
  if (!rules_.may_split || !rules_.unused.empty()) {
    word_ids.clear();
    encode_whole(text, *scratch, word_ids);
    append(word_ids, after_unknown, ids);
    return;
  }
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = split_before_space_ ? space_word_end(text, begin) : text.size();
    const std::string_view word = text.substr(begin, end - begin);
    begin = end;
    if (word.size() <= WordCache::kMaxBytes) {
      const WordCache::Key key = WordCache::key(word, readable_end);
      WordCache::Slot& slot = scratch->cache.slot(key);
      if (!slot.holds(key)) {
        word_ids.clear();
        encode_runs(word, *scratch, word_ids);
        WordCache::store(slot, key, word_ids);
        append(word_ids, after_unknown, ids);
      } else {
        append(slot.tokens(), after_unknown, ids);
      }
    } else {
      word_ids.clear();
      encode_word(word, readable_end, *scratch, word_ids);
      append(word_ids, after_unknown, ids);
    }
  }
}

void CharacterMerger::encode_symbols(std::vector<Symbol>& symbols,
                                     std::vector<TokenId>& ids) const {
  const auto scratch = scratch_pool_.borrow();
  const std::size_t count = merges_.merge(symbols.data(), symbols.size(), scratch->merging);
  for (std::size_t i = 0; i < count; ++i) emit(symbols[i], ids);
}

void CharacterMerger::encode_whole(std::string_view text, Scratch& scratch,
                                   std::vector<TokenId>& ids) const {
  std::vector<Symbol>& symbols = scratch.symbols;
  symbols.clear();
  for (std::size_t at = 0; at < text.size();) {
    const DecodedChar c = next_code_point(text, at);
    symbols.push_back(symbol_of(c.code_point));
    at += c.length;
  }
  if (!rules_.unused.empty()) {
    scratch.parts.assign(rules_.ids.size(), kNoParts);
    scratch.merging.parts = &scratch.parts;
  }
  const std::size_t count = merges_.merge(symbols.data(), symbols.size(), scratch.merging);
  scratch.merging.parts = nullptr;
  for (std::size_t i = 0; i < count; ++i) emit_parts(symbols[i], scratch, ids);
}

void CharacterMerger::emit_parts(Symbol symbol, const Scratch& scratch,
                                 std::vector<TokenId>& ids) const {
  // Both parts are shorter than the whole, so an explicit stack ends.
  std::vector<Symbol> open{symbol};
  while (!open.empty()) {
    const Symbol top = open.back();
    open.pop_back();
    if (top >= 0 && !rules_.unused.empty() && rules_.unused[top] &&
        scratch.parts[top] != kNoParts) {
      open.push_back(scratch.parts[top].second);
      open.push_back(scratch.parts[top].first);
    } else {
      emit(top, ids);
    }
  }
}

// A word too long for the cache: its runs are looked up one by one.
void CharacterMerger::encode_word(std::string_view word, const char* readable_end, Scratch& scratch,
                                  std::vector<TokenId>& ids) const {
  std::vector<Symbol>& symbols = scratch.symbols;
  symbols.clear();
  std::size_t run_begin = 0;
  const auto finish_run = [&](std::size_t run_end) {
    const std::string_view run = word.substr(run_begin, run_end - run_begin);
    run_begin = run_end;
    if (symbols.size() == 1) {
      emit(symbols[0], ids);
    } else if (symbols.size() > 2 && run.size() <= WordCache::kMaxBytes) {
      const WordCache::Key key = WordCache::key(run, readable_end);
      WordCache::Slot& slot = scratch.cache.slot(key);
      if (slot.holds(key)) {
        ids.insert(ids.end(), slot.tokens().begin(), slot.tokens().end());
      } else {
        const std::size_t before = ids.size();
        const std::size_t count = merges_.merge(symbols.data(), symbols.size(), scratch.merging);
        for (std::size_t i = 0; i < count; ++i) emit(symbols[i], ids);
        WordCache::store(slot, key, std::span(ids).subspan(before));
      }
    } else {
      const std::size_t count = merges_.merge(symbols.data(), symbols.size(), scratch.merging);
      for (std::size_t i = 0; i < count; ++i) emit(symbols[i], ids);
    }
    symbols.clear();
  };
  for (std::size_t at = 0; at < word.size();) {
    const DecodedChar c = next_code_point(word, at);
    const Symbol symbol = symbol_of(c.code_point);
    if (!symbols.empty() && !merges_.may_join(symbols.back(), symbol)) finish_run(at);
    symbols.push_back(symbol);
    at += c.length;
  }
  finish_run(word.size());
}

void CharacterMerger::encode_runs(std::string_view word, Scratch& scratch,
                                  std::vector<TokenId>& ids) const {
  std::vector<Symbol>& symbols = scratch.symbols;
  symbols.clear();
  const auto finish_run = [&] {
    const std::size_t count = merges_.merge(symbols.data(), symbols.size(), scratch.merging);
    for (std::size_t i = 0; i < count; ++i) emit(symbols[i], ids);
    symbols.clear();
  };
  for (std::size_t at = 0; at < word.size();) {
    const DecodedChar c = next_code_point(word, at);
    const Symbol symbol = symbol_of(c.code_point);
    if (!symbols.empty() && !merges_.may_join(symbols.back(), symbol)) finish_run();
    symbols.push_back(symbol);
    at += c.length;
  }
  finish_run();
}

void CharacterMerger::emit(Symbol symbol, std::vector<TokenId>& ids) const {
  char32_t code_point = 0;
  if (symbol >= 0) {
    if (rules_.ids[symbol] != kUnknown) {
      ids.push_back(rules_.ids[symbol]);
      return;
    }
    code_point = code_points_[symbol];
  } else {
    code_point = static_cast<char32_t>(-1 - symbol);
  }
  if (rules_.byte_fallback) {
    std::string bytes;
    append_utf8(bytes, code_point);
    for (const char byte : bytes) ids.push_back(rules_.byte_ids[static_cast<unsigned char>(byte)]);
  } else if (rules_.unk_id != kUnknown) {
    ids.push_back(rules_.unk_id);
  }
}

// Unknown pieces are fused here, over the borders of words.
void CharacterMerger::append(std::span<const TokenId> word_ids, bool& after_unknown,
                             std::vector<TokenId>& ids) const {
  if (rules_.byte_fallback || !rules_.fuse_unk || rules_.unk_id == kUnknown) {
    ids.insert(ids.end(), word_ids.begin(), word_ids.end());
    return;
  }
  for (const TokenId id : word_ids) {
    const bool unknown = id == rules_.unk_id;
    if (!unknown || !after_unknown) ids.push_back(id);
    after_unknown = unknown;
  }
}

}  // namespace tigerbot
