#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tokenizer/scratch_pool.h"
#include "tokenizer/symbol_merges.h"
#include "tokenizer/tokenizer.h"
#include "tokenizer/word_cache.h"

namespace tigerbot {

/// Byte-pair encoding that begins with characters: what SentencePiece BPE and its tokenizer.json
/// form share. The text falls into words and runs that no merge crosses; each is merged alone, and
/// short words are looked up among those met lately.
class CharacterMerger {
 public:
  using Symbol = SymbolMerges::Symbol;
  static constexpr TokenId kUnknown = -1;

  struct Rules {
    std::vector<std::pair<char32_t, Symbol>> characters;
    std::vector<SymbolMerges::Merge> merges;
    /// The pairs of characters' symbols that a merge can bring together.
    std::vector<std::pair<Symbol, Symbol>> joins;
    /// False if a merge can begin from symbols that are no characters: nothing is split then.
    bool may_split = true;
    /// The id of each symbol; kUnknown for characters that are only parts of pieces.
    std::vector<TokenId> ids;
    /// Symbols that stand for the pair they came from ("unused" pieces); empty if none does.
    std::vector<char> unused;

    bool byte_fallback = false;
    std::array<TokenId, 256> byte_ids{};
    TokenId unk_id = kUnknown;  ///< kUnknown: unknown characters vanish
    bool fuse_unk = true;       ///< neighbouring unknown characters are one unknown piece
  };

  explicit CharacterMerger(Rules rules);

  /// Appends the ids of `text`, which must be valid UTF-8. Neighbouring unknowns fuse with an
  /// unknown piece that an earlier call of the same text has left at the end of `ids` if
  /// `after_unknown`; it says so for the next call.
  void encode(std::string_view text, bool& after_unknown, std::vector<TokenId>& ids) const;

  /// Merges symbols that the caller made and appends their ids.
  void encode_symbols(std::vector<Symbol>& symbols, std::vector<TokenId>& ids) const;

 private:
  struct Scratch {
    SymbolMerges::Scratch merging;
    std::vector<Symbol> symbols;
    std::vector<TokenId> word_ids;
    std::vector<std::pair<Symbol, Symbol>> parts;
    WordCache cache;
  };

  Symbol symbol_of(char32_t code_point) const;
  void encode_whole(std::string_view text, Scratch& scratch, std::vector<TokenId>& ids) const;
  void encode_word(std::string_view word, const char* readable_end, Scratch& scratch,
                   std::vector<TokenId>& ids) const;
  void encode_runs(std::string_view word, Scratch& scratch, std::vector<TokenId>& ids) const;
  void emit(Symbol symbol, std::vector<TokenId>& ids) const;
  void emit_parts(Symbol symbol, const Scratch& scratch, std::vector<TokenId>& ids) const;
  void append(std::span<const TokenId> word_ids, bool& after_unknown,
              std::vector<TokenId>& ids) const;

  Rules rules_;
  SymbolMerges merges_;
  std::vector<std::int32_t> pages_;  // for each 256 code points, where their symbols begin
  std::vector<Symbol> page_symbols_;
  std::vector<char32_t> code_points_;  // of the symbols that are characters; 0 for others
  bool split_before_space_ = false;    // no merge crosses from another character into U+2581
  mutable ScratchPool<Scratch> scratch_pool_;
};

}  // namespace tigerbot
