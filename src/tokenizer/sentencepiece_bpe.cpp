#include <algorithm>
#include <functional>
#include <unordered_map>

#include "tokenizer/character_merger.h"
#include "tokenizer/sentencepiece_encoder.h"
#include "tokenizer/sentencepiece_normalizer.h"
#include "tokenizer/utf8.h"

namespace tigerbot {
namespace {

using PieceType = SentencePieceModel::PieceType;
using Symbol = CharacterMerger::Symbol;

// SentencePiece merges two neighbours whenever their text together is a piece. That is one merge
// rule for each way to cut a piece into two symbols; its priority is the rank of the piece's score.
class RuleBuilder {
 public:
  RuleBuilder(const SentencePieceModel& model, const UnknownPieces& unknown) : model_(model) {
    rules_.ids.resize(model.pieces.size());
    for (std::size_t id = 0; id < model.pieces.size(); ++id) {
      rules_.ids[id] = static_cast<TokenId>(id);
    }
    rules_.byte_fallback = unknown.byte_fallback();
    for (int byte = 0; byte < 256; ++byte) rules_.byte_ids[byte] = unknown.byte_id(byte);
    rules_.unk_id = unknown.unk_id();
  }

  CharacterMerger::Rules build() {
    rank_scores();
    for (std::size_t id = 0; id < model_.pieces.size(); ++id) {
      if (may_merge(model_.pieces[id])) {
        symbols_.emplace(model_.pieces[id].text, static_cast<Symbol>(id));
      }
    }
    for (std::size_t id = 0; id < model_.pieces.size(); ++id) add_piece(id);
    // A single character may be a reserved piece, whatever its symbol was while merging.
    for (std::size_t id = 0; id < model_.pieces.size(); ++id) {
      if (may_merge(model_.pieces[id])) continue;
      const std::string& text = model_.pieces[id].text;
      if (text.size() != utf8_length(static_cast<unsigned char>(text[0]))) continue;
      rules_.ids[character(text)] = static_cast<TokenId>(id);
    }
    if (!rules_.unused.empty()) rules_.unused.resize(rules_.ids.size(), 0);
    return std::move(rules_);
  }

 private:
  // User-defined symbols are cut out before merging; control, unknown and byte pieces never arise.
  static bool may_merge(const SentencePieceModel::Piece& piece) {
    return piece.type == PieceType::kNormal || piece.type == PieceType::kUnused;
  }

  void rank_scores() {
    std::vector<float> scores;
    for (const auto& piece : model_.pieces) scores.push_back(piece.score + 0.0f);
    std::sort(scores.begin(), scores.end(), std::greater<>());
    scores.erase(std::unique(scores.begin(), scores.end()), scores.end());
    for (const auto& piece : model_.pieces) {
      const auto at = std::lower_bound(scores.begin(), scores.end(), piece.score, std::greater<>());
      priorities_.push_back(static_cast<std::uint32_t>(at - scores.begin()));
    }
  }

  void add_piece(std::size_t id) {
    const SentencePieceModel::Piece& piece = model_.pieces[id];
    if (!may_merge(piece)) return;
    const std::string_view text = piece.text;
    Symbol before = -1;
    for (std::size_t cut = 0; cut < text.size();) {
      const std::size_t length = utf8_length(static_cast<unsigned char>(text[cut]));
      const Symbol here = character(std::string(text.substr(cut, length)));
      if (cut > 0) {
        const Symbol left = symbol(std::string(text.substr(0, cut)));
        const Symbol right = symbol(std::string(text.substr(cut)));
        if (left >= 0 && right >= 0) {
          rules_.merges.push_back({left, right, static_cast<Symbol>(id), priorities_[id]});
          rules_.joins.emplace_back(before, here);
          if (piece.type == PieceType::kUnused) {
            rules_.unused.resize(model_.pieces.size(), 0);
            rules_.unused[id] = 1;
          }
        }
      }
      before = here;
      cut += length;
    }
  }

  Symbol symbol(const std::string& text) {
    if (text.size() == utf8_length(static_cast<unsigned char>(text[0]))) return character(text);
    const auto found = symbols_.find(text);
    return found == symbols_.end() ? -1 : found->second;
  }

  // The symbol of a character, which may be only a part of pieces and no piece itself.
  Symbol character(const std::string& text) {
    const char32_t code_point = next_code_point(text, 0).code_point;
    const auto known = characters_.find(code_point);
    if (known != characters_.end()) return known->second;
    const auto found = symbols_.find(text);
    Symbol symbol;
    if (found != symbols_.end()) {
      symbol = found->second;
    } else {
      symbol = static_cast<Symbol>(rules_.ids.size());
      rules_.ids.push_back(CharacterMerger::kUnknown);
    }
    characters_.emplace(code_point, symbol);
    rules_.characters.emplace_back(code_point, symbol);
    return symbol;
  }

  const SentencePieceModel& model_;
  CharacterMerger::Rules rules_;
  std::vector<std::uint32_t> priorities_;
  std::unordered_map<std::string, Symbol> symbols_;
  std::unordered_map<char32_t, Symbol> characters_;
};

class BpeEncoder final : public SentencePieceEncoder {
 public:
  BpeEncoder(const SentencePieceModel& model, const std::string& path)
      : user_defined_(user_defined_symbols(model)),
        merger_(RuleBuilder(model, UnknownPieces(model, path)).build()) {}

  void encode(std::string_view text, std::vector<TokenId>& ids) const override {
    bool after_unknown = false;
    if (user_defined_.empty()) {
      merger_.encode(text, after_unknown, ids);
      return;
    }
    std::size_t begin = 0;
    for (std::size_t at = 0; at < text.size();) {
      const ByteTrie::Match match = user_defined_.longest_match(text.substr(at));
      if (match.length == 0) {
        at += utf8_length(static_cast<unsigned char>(text[at]));
        continue;
      }
      merger_.encode(text.substr(begin, at - begin), after_unknown, ids);
      ids.push_back(match.value);
      after_unknown = false;
      at += match.length;
      begin = at;
    }
    merger_.encode(text.substr(begin), after_unknown, ids);
  }

 private:
  ByteTrie user_defined_;
  CharacterMerger merger_;
};

}  // namespace

std::unique_ptr<SentencePieceEncoder> make_sentencepiece_bpe(const SentencePieceModel& model,
                                                             const std::string& path) {
  return std::make_unique<BpeEncoder>(model, path);
}

}  // namespace tigerbot
