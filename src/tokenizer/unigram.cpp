#include "tokenizer/unigram.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "tokenizer/byte_trie.h"
#include "tokenizer/json_node.h"
#include "tokenizer/scratch_pool.h"
#include "tokenizer/utf8.h"
#include "tokenizer/vocabulary.h"
#include "tokenizer/word_cache.h"

namespace tigerbot {
namespace {

constexpr double kUnknownPenalty = 10.0;

struct Best {
  double score = 0;
  std::int32_t begin = -1;
  TokenId id = -1;
};

struct Scratch {
  std::vector<Best> best;
  std::vector<std::pair<std::int32_t, std::int32_t>> parts;
  WordCache cache;
};

}  // namespace

struct Unigram::Tables {
  Vocabulary vocabulary;
  std::vector<double> scores;
  ByteTrie trie;
  double unknown_score = 0;
  std::optional<TokenId> unk_id;
  std::optional<std::vector<TokenId>> byte_ids;
  std::string where;
  mutable ScratchPool<Scratch> scratch;

  void search(std::string_view word, std::vector<Best>& best) const;
  void append(std::string_view word, Scratch& scratch, std::vector<TokenId>& ids) const;
  void append_unknown(std::string_view part, std::vector<TokenId>& ids) const;
};

Unigram::Unigram(Options options, const std::string& where) {
  auto tables = std::make_unique<Tables>();
  std::vector<std::pair<std::string, std::int32_t>> keys;
  std::vector<std::string> pieces;
  double lowest = std::numeric_limits<double>::infinity();
  for (std::size_t id = 0; id < options.vocabulary.size(); ++id) {
    auto& [piece, score] = options.vocabulary[id];
    if (std::isnan(score)) fail("{}: the score of piece {} is not a number", where, id);
    lowest = std::min(lowest, score);
    tables->scores.push_back(score);
    pieces.push_back(std::move(piece));
  }
  tables->vocabulary = Vocabulary(std::move(pieces));
  for (TokenId id = 0; id < tables->vocabulary.size(); ++id) {
    const std::string& piece = tables->vocabulary.piece(id);
    if (piece.empty() || tables->vocabulary.id(piece) != id) continue;
    keys.emplace_back(piece, id);
  }
  tables->trie = ByteTrie(std::move(keys));
  tables->unknown_score = lowest - kUnknownPenalty;
  tables->unk_id = options.unk_id;
  if (options.unk_id && (*options.unk_id < 0 || *options.unk_id >= tables->vocabulary.size())) {
    fail("{}: unk_id {} is not below the {} pieces", where, *options.unk_id,
         tables->vocabulary.size());
  }
  if (options.byte_fallback) tables->byte_ids = byte_piece_ids(tables->vocabulary, where);
  tables->where = where;
  tables_ = std::move(tables);
}

Unigram::~Unigram() = default;

std::unique_ptr<Unigram> Unigram::from_json(const nlohmann::json& model, const std::string& where) {
  expect_keys(model, {"type", "unk_id", "vocab", "byte_fallback"}, where);
  Options options;
  const nlohmann::json& vocabulary = required_node(model, "vocab", where);
  if (!vocabulary.is_array()) fail("{}: \"vocab\" must be a list of pieces and scores", where);
  for (std::size_t id = 0; id < vocabulary.size(); ++id) {
    const nlohmann::json& entry = vocabulary[id];
    if (!entry.is_array() || entry.size() != 2 || !entry[0].is_string() || !entry[1].is_number()) {
      fail("{}.vocab[{}]: must be a piece and its score", where, id);
    }
    options.vocabulary.emplace_back(entry[0].get<std::string>(), entry[1].get<double>());
  }
  const auto unk_id = model.find("unk_id");
  if (unk_id != model.end() && !unk_id->is_null()) {
    options.unk_id = static_cast<TokenId>(integer_field(model, "unk_id", 0x7FFFFFFF, where));
  }
  options.byte_fallback = bool_field(model, "byte_fallback", false, where);
  return std::make_unique<Unigram>(std::move(options), where);
}

void Unigram::encode(std::string_view word, std::vector<TokenId>& ids) const {
  if (word.empty()) return;
  if (word.size() > 0x7FFFFFF0) fail("text of {} bytes is too long to encode at once", word.size());
  const auto scratch = tables_->scratch.borrow();
  if (word.size() > WordCache::kMaxBytes) {
    tables_->append(word, *scratch, ids);
    return;
  }
  const WordCache::Key key = WordCache::key(word, word.data() + word.size());
  WordCache::Slot& slot = scratch->cache.slot(key);
  if (slot.holds(key)) {
    ids.insert(ids.end(), slot.tokens().begin(), slot.tokens().end());
    return;
  }
  const std::size_t before = ids.size();
  tables_->append(word, *scratch, ids);
  WordCache::store(slot, key, std::span(ids).subspan(before));
}

void Unigram::Tables::search(std::string_view word, std::vector<Best>& best) const {
  best.assign(word.size() + 1, {});
  for (std::size_t begin = 0; begin < word.size();) {
    const std::size_t length = utf8_length(static_cast<unsigned char>(word[begin]));
    const double before = best[begin].score;
    const auto offer = [&](std::size_t end, double score, TokenId id) {
      if (best[end].begin < 0 || before + score > best[end].score) {
        best[end] = {before + score, static_cast<std::int32_t>(begin), id};
      }
    };
    bool single = false;
    std::int32_t at = ByteTrie::kRoot;
    for (std::size_t end = begin; end < word.size();) {
      at = trie.child(at, static_cast<unsigned char>(word[end++]));
      if (at < 0) break;
      const TokenId id = trie.node(at).value;
      if (id < 0) continue;
      offer(end, scores[id], id);
      single |= end - begin == length;
    }
    if (!single) {
      if (!unk_id) {
        fail("{}: the character \"{}\" is no piece, and there is no unknown piece", where,
             word.substr(begin, length));
      }
      offer(begin + length, unknown_score, *unk_id);
    }
    begin += length;
  }
}

void Unigram::Tables::append(std::string_view word, Scratch& scratch,
                             std::vector<TokenId>& ids) const {
  search(word, scratch.best);
  auto& parts = scratch.parts;
  parts.clear();
  // Unknown parts in a row are one part.
  bool after_unknown = false;
  for (auto end = static_cast<std::int32_t>(word.size()); end > 0;) {
    const Best& best = scratch.best[end];
    const bool unknown = unk_id && best.id == *unk_id;
    if (unknown && after_unknown) {
      parts.back().first = best.begin;
    } else {
      parts.emplace_back(best.begin, end);
    }
    after_unknown = unknown;
    end = best.begin;
  }
  for (auto part = parts.rbegin(); part != parts.rend(); ++part) {
    const TokenId id = scratch.best[part->second].id;
    if (unk_id && id == *unk_id) {
      append_unknown(word.substr(part->first, part->second - part->first), ids);
    } else {
      ids.push_back(id);
    }
  }
}

void Unigram::Tables::append_unknown(std::string_view part, std::vector<TokenId>& ids) const {
  if (const auto id = vocabulary.id(part)) {
    ids.push_back(*id);
  } else if (byte_ids) {
    for (const char byte : part) ids.push_back((*byte_ids)[static_cast<unsigned char>(byte)]);
  } else {
    ids.push_back(*unk_id);
  }
}

std::int64_t Unigram::size() const { return tables_->vocabulary.size(); }
std::optional<TokenId> Unigram::id(std::string_view piece) const {
  return tables_->vocabulary.id(piece);
}
const std::string& Unigram::piece(TokenId id) const { return tables_->vocabulary.piece(id); }
std::optional<TokenId> Unigram::unk_id() const { return tables_->unk_id; }

}  // namespace tigerbot
