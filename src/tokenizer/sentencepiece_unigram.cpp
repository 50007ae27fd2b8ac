#include <algorithm>
#include <cfloat>
#include <cmath>
#include <limits>

#include "base/error.h"
#include "tokenizer/scratch_pool.h"
#include "tokenizer/sentencepiece_encoder.h"
#include "tokenizer/sentencepiece_normalizer.h"
#include "tokenizer/space_words.h"
#include "tokenizer/utf8.h"
#include "tokenizer/word_cache.h"

namespace tigerbot {
namespace {

using PieceType = SentencePieceModel::PieceType;

constexpr float kUnknownPenalty = 10.0f;

// Viterbi over the text (Kudo 2018, arXiv:1804.10959). libsentencepiece adds the scores of a whole
// text up in single precision, and in a long text rounding decides between near ties. To give the
// same ids, the sum is carried through the text in the same way: a word met lately is taken from
// the cache only where its best segmentation leads the next one by more than rounding can undo.
class UnigramEncoder final : public SentencePieceEncoder {
 public:
  UnigramEncoder(const SentencePieceModel& model, const std::string& path) : unknown_(model, path) {
    float min_score = FLT_MAX;
    for (const auto& piece : model.pieces) {
      if (piece.type != PieceType::kNormal) continue;
      min_score = std::min(min_score, piece.score);
    }
    unknown_score_ = min_score - kUnknownPenalty;
    std::vector<std::pair<std::string, std::int32_t>> keys;
    scores_.assign(model.pieces.size(), 0);
    for (std::size_t id = 0; id < model.pieces.size(); ++id) {
      const auto& piece = model.pieces[id];
      if (piece.type != PieceType::kNormal && piece.type != PieceType::kUserDefined) continue;
      scores_[id] = piece.score;
      if (piece.type == PieceType::kUserDefined) {
        // libsentencepiece's bonus, which makes it win over pieces with negative scores.
        scores_[id] = 0.1f * static_cast<float>(piece.text.size() - 1);
      }
      keys.emplace_back(piece.text, static_cast<std::int32_t>(id));
      for (std::size_t at = piece.text.find(kSpaceSymbol, 1); at != std::string::npos;
           at = piece.text.find(kSpaceSymbol, at + 1)) {
        if (at < 3 || piece.text.compare(at - 3, 3, kSpaceSymbol) != 0) may_split_ = false;
      }
    }
    if (unknown_.unk_id() < 0) fail("{}: no piece is the unknown piece; the file is damaged", path);
    scores_[unknown_.unk_id()] = unknown_score_;
    if (keys.empty()) fail("{}: no piece may stand in a text; the file is damaged", path);
    trie_ = ByteTrie(std::move(keys));
    trie_.set_scores([&](std::int32_t id) { return scores_[id]; });
  }

  void encode(std::string_view text, std::vector<TokenId>& ids) const override {
    const auto scratch = scratch_pool_.borrow();
    const char* const readable_end = text.data() + text.size();
    float total = 0;
    bool after_unknown = false;
    for (std::size_t begin = 0; begin < text.size();) {
      const std::size_t end = may_split_ ? space_word_end(text, begin) : text.size();
      const std::string_view word = text.substr(begin, end - begin);
      if (word.size() <= WordCache::kMaxBytes) {
        const WordCache::Key key = WordCache::key(word, readable_end);
        WordCache::Slot& slot = scratch->cache.slot(key);
        if (!slot.holds(key)) fill(slot, key, word, *scratch);
        if (slot.count > 0 && std::fabs(total) < kResetScore - kWordScore &&
            slot.extra > rounding(total)) {
          take_cached(slot, word, total, after_unknown, ids);
          begin = end;
          continue;
        }
      }
      total = search(word, total, *scratch);
      take(word, *scratch, after_unknown, ids);
      begin = end;
    }
  }

 private:
  struct Best {
    float score = 0;
    std::int32_t begin = -1;
    TokenId id = -1;
  };
  struct Scratch {
    std::vector<Best> best;
    std::vector<std::pair<std::int32_t, std::int32_t>> parts;
    std::vector<TokenId> ids;
    WordCache cache;
  };

  // A bound on what single precision can do to the difference of two paths through one word whose
  // sums begin at `total`: each of at most 31 additions rounds by half a unit in the last place.
  static double rounding(float total) {
    const double largest = std::fabs(double(total)) + kWordScore;
    return largest * (2.0 * WordCache::kMaxBytes) * FLT_EPSILON;
  }

  // Calls visit(end, score, id) for each piece that begins at `begin`, and for the character itself
  // as an unknown piece if it is none.
  template <typename Visit>
  std::size_t visit_pieces(std::string_view text, std::size_t begin, Visit visit) const {
    const std::size_t length = utf8_length(static_cast<unsigned char>(text[begin]));
    bool single = false;
    std::int32_t at = ByteTrie::kRoot;
    for (std::size_t end = begin; end < text.size();) {
      at = trie_.child(at, static_cast<unsigned char>(text[end++]));
      if (at < 0) break;
      const ByteTrie::Node& node = trie_.node(at);
      if (node.value < 0) continue;
      visit(end, node.score, node.value);
      single |= end - begin == length;
    }
    if (!single) visit(begin + length, unknown_score_, unknown_.unk_id());
    return length;
  }

  // The exact search: fills scratch.best and returns the sum at the end.
  float search(std::string_view text, float total, Scratch& scratch) const {
    std::vector<Best>& best = scratch.best;
    best.assign(text.size() + 1, {});
    best[0].score = total;
    std::size_t furthest = 0;
    for (std::size_t begin = 0; begin < text.size();) {
      if (std::fabs(best[begin].score) > kResetScore) reset(best, begin, furthest);
      const float before = best[begin].score;
      begin += visit_pieces(text, begin, [&](std::size_t end, float score, TokenId id) {
        furthest = std::max(furthest, end);
        Best& target = best[end];
        const float candidate = score + before;
        if (target.begin < 0 || candidate > target.score) {
          target = {candidate, static_cast<std::int32_t>(begin), id};
        }
      });
    }
    return best[text.size()].score;
  }

  // Keeps sums small: the one at `begin` becomes 0, and those beyond it lose as much.
  static void reset(std::vector<Best>& best, std::size_t begin, std::size_t furthest) {
    const float offset = best[begin].score;
    best[begin].score = 0;
    for (std::size_t i = begin + 1; i <= furthest; ++i) {
      if (best[i].begin >= 0) best[i].score -= offset;
    }
  }

  void take(std::string_view text, Scratch& scratch, bool& after_unknown,
            std::vector<TokenId>& ids) const {
    auto& parts = scratch.parts;
    parts.clear();
    for (auto end = static_cast<std::int32_t>(text.size()); end > 0;
         end = scratch.best[end].begin) {
      parts.emplace_back(scratch.best[end].begin, end);
    }
    for (auto part = parts.rbegin(); part != parts.rend(); ++part) {
      const TokenId id = scratch.best[part->second].id;
      const bool unknown = id == unknown_.unk_id();
      if (unknown) {
        unknown_.append(text.substr(part->first, part->second - part->first), after_unknown, ids);
      } else {
        ids.push_back(id);
      }
      after_unknown = unknown;
    }
  }

  // Segments a word in double precision and keeps it with its lead: the least, over the places on
  // the best path, by which the best way to get there beats the second best.
  void fill(WordCache::Slot& slot, const WordCache::Key& key, std::string_view word,
            Scratch& scratch) const {
    constexpr double kNever = -std::numeric_limits<double>::infinity();
    const std::size_t size = word.size();
    double best[WordCache::kMaxBytes + 1], second[WordCache::kMaxBytes + 1];
    std::size_t from[WordCache::kMaxBytes + 1];
    TokenId id_at[WordCache::kMaxBytes + 1];
    std::fill_n(best, size + 1, kNever);
    std::fill_n(second, size + 1, kNever);
    best[0] = 0;
    for (std::size_t begin = 0; begin < size;) {
      begin += visit_pieces(word, begin, [&](std::size_t end, double score, TokenId id) {
        const double candidate = best[begin] + score;
        if (candidate > best[end]) {
          second[end] = best[end];
          best[end] = candidate;
          from[end] = begin;
          id_at[end] = id;
        } else if (candidate > second[end]) {
          second[end] = candidate;
        }
      });
    }
    double lead = std::numeric_limits<double>::max();
    scratch.ids.clear();
    bool unknown = false;
    for (std::size_t end = size; end > 0; end = from[end]) {
      lead = std::min(lead, best[end] - second[end]);
      scratch.ids.push_back(id_at[end]);
      unknown |= id_at[end] == unknown_.unk_id();
    }
    std::reverse(scratch.ids.begin(), scratch.ids.end());
    slot.key = key;
    slot.count = 0;  // seen, but not to be taken from here
    if (unknown || std::fabs(best[size]) > kWordScore || scratch.ids.size() > WordCache::kMaxIds)
      return;
    WordCache::store(slot, key, scratch.ids);
    slot.extra = static_cast<float>(std::min(lead * 0.999, 1e9));
  }

  void take_cached(const WordCache::Slot& slot, std::string_view, float& total, bool& after_unknown,
                   std::vector<TokenId>& ids) const {
    for (const TokenId id : slot.tokens()) {
      total = scores_[id] + total;
      ids.push_back(id);
    }
    after_unknown = false;
  }

  static constexpr float kResetScore = 100000;  // where libsentencepiece begins to count anew
  static constexpr double kWordScore = 1e4;     // words with greater scores are not cached

  UnknownPieces unknown_;
  ByteTrie trie_;
  std::vector<float> scores_;
  float unknown_score_ = 0;
  bool may_split_ = true;  // no piece goes on from another character into U+2581
  mutable ScratchPool<Scratch> scratch_pool_;
};

}  // namespace

std::unique_ptr<SentencePieceEncoder> make_sentencepiece_unigram(const SentencePieceModel& model,
                                                                 const std::string& path) {
  return std::make_unique<UnigramEncoder>(model, path);
}

}  // namespace tigerbot
