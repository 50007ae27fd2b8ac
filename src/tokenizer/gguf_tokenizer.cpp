#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "tokenizer/byte_level_bpe.h"
#include "tokenizer/gguf_pre_tokenizers.h"
#include "tokenizer/sentencepiece_tokenizer.h"
#include "tokenizer/space_words.h"
#include "tokenizer/wordpiece.h"

namespace tigerbot {
namespace {

using Json = nlohmann::json;
using PieceType = SentencePieceModel::PieceType;

PieceType type_of(const GgufTokenizer& gguf, std::size_t id, const std::string& path) {
  if (gguf.token_types.empty()) return PieceType::kNormal;
  const std::int32_t type = gguf.token_types[id];
  // 0 is "undefined" in old files.
  if (type < 0 || type > 6) fail("{}: token {} has the type {}, which is none", path, id, type);
  return type == 0 ? PieceType::kNormal : static_cast<PieceType>(type);
}

bool is_special(PieceType type) {
  return type == PieceType::kControl || type == PieceType::kUnknown;
}

void check(const GgufTokenizer& gguf, const std::string& path) {
  const std::size_t count = gguf.tokens.size();
  if (count == 0) fail("{}: tokenizer.ggml.tokens is empty", path);
  if (count > (std::size_t(1) << 24)) fail("{}: {} tokens are too many", path, count);
  if (!gguf.token_types.empty() && gguf.token_types.size() != count) {
    fail("{}: {} token types for {} tokens; the file is damaged", path, gguf.token_types.size(),
         count);
  }
  for (const auto& id : {gguf.bos_id, gguf.eos_id, gguf.unk_id, gguf.pad_id}) {
    if (id && (*id < 0 || static_cast<std::size_t>(*id) >= count)) {
      fail("{}: special token {} is not below the {} tokens", path, *id, count);
    }
  }
}

// What stands around a text, as tokenizer.json writes it.
Json template_processing(const GgufTokenizer& gguf, std::optional<TokenId> before,
                         std::optional<TokenId> after) {
  if (!before && !after) return nullptr;
  Json single = Json::array(), pair = Json::array(), special = Json::object();
  const auto add_token = [&](std::optional<TokenId> id, int part) {
    if (!id) return;
    const std::string& text = gguf.tokens[static_cast<std::size_t>(*id)];
    const Json token = {{"SpecialToken", {{"id", text}, {"type_id", part}}}};
    if (part == 0) single.push_back(token);
    pair.push_back(token);
    special[text] = {{"id", text}, {"ids", {*id}}, {"tokens", {text}}};
  };
  add_token(before, 0);
  single.push_back({{"Sequence", {{"id", "A"}, {"type_id", 0}}}});
  pair.push_back({{"Sequence", {{"id", "A"}, {"type_id", 0}}}});
  add_token(after, 0);
  pair.push_back({{"Sequence", {{"id", "B"}, {"type_id", 1}}}});
  add_token(after, 1);
  return {{"type", "TemplateProcessing"},
          {"single", single},
          {"pair", pair},
          {"special_tokens", special}};
}

std::unique_ptr<Tokenizer> make_byte_level(const GgufTokenizer& gguf, const std::string& path) {
  const GgufPreTokenizer pre = gguf_pre_tokenizer(gguf.pre, path);
  ByteLevelBpeParts parts;
  parts.pieces = gguf.tokens;
  parts.merges = gguf.merges;
  parts.ignore_merges = pre.ignore_merges;
  parts.normalizer = pre.normalizer;
  parts.pre_tokenizer = pre.pre_tokenizer;
  for (std::size_t id = 0; id < gguf.tokens.size(); ++id) {
    const PieceType type = type_of(gguf, id, path);
    if (type != PieceType::kUserDefined && !is_special(type)) continue;
    AddedToken token;
    token.id = static_cast<TokenId>(id);
    token.content = gguf.tokens[id];
    token.special = is_special(type);
    parts.added_tokens.push_back(std::move(token));
    parts.pieces[id].clear();  // spelled as text, not in the byte-level alphabet
  }
  const bool add_bos = gguf.add_bos.value_or(pre.add_bos);
  const bool add_eos = gguf.add_eos.value_or(false);
  parts.post_processor = template_processing(gguf, add_bos ? gguf.bos_id : std::nullopt,
                                             add_eos ? gguf.eos_id : std::nullopt)
                             .dump();
  return make_byte_level_tokenizer(std::move(parts), path);
}

std::unique_ptr<Tokenizer> make_sentencepiece(const GgufTokenizer& gguf,
                                              SentencePieceModel::Type type,
                                              const std::string& path) {
  if (gguf.scores.size() != gguf.tokens.size()) {
    fail("{}: {} scores for {} tokens; a SentencePiece tokenizer needs one for each", path,
         gguf.scores.size(), gguf.tokens.size());
  }
  SentencePieceModel model;
  SentencePieceOptions options;
  model.type = type;
  for (std::size_t id = 0; id < gguf.tokens.size(); ++id) {
    SentencePieceModel::Piece piece{gguf.tokens[id], gguf.scores[id], type_of(gguf, id, path)};
    if (gguf.unk_id && static_cast<std::size_t>(*gguf.unk_id) == id) {
      piece.type = PieceType::kUnknown;
    } else if (piece.type == PieceType::kUnknown && gguf.unk_id) {
      piece.type = PieceType::kControl;
    }
    // Added tokens, which the model itself does not have, are found in the text as written.
    if (piece.type == PieceType::kUserDefined) {
      piece.type = PieceType::kControl;
      options.added_tokens.push_back(static_cast<TokenId>(id));
    }
    model.byte_fallback |= piece.type == PieceType::kByte;
    check_sentencepiece(piece, id, path);
    model.pieces.push_back(std::move(piece));
  }
  const bool unigram = type == SentencePieceModel::Type::kUnigram;
  model.normalizer.add_dummy_prefix = gguf.add_space_prefix.value_or(true);
  model.normalizer.remove_extra_whitespaces = gguf.remove_extra_whitespaces.value_or(false);
  model.normalizer.precompiled_charsmap = gguf.precompiled_charsmap;
  options.add_bos = gguf.add_bos.value_or(!unigram);
  options.add_eos = gguf.add_eos.value_or(unigram);
  return std::make_unique<SentencePieceTokenizer>(std::move(model), options, path);
}

// GGUF marks the pieces that begin a word ("▁the"), WordPiece those that do not ("##ing").
std::unique_ptr<Tokenizer> make_wordpiece(const GgufTokenizer& gguf, const std::string& path) {
  std::string vocabulary;
  for (std::size_t id = 0; id < gguf.tokens.size(); ++id) {
    std::string_view token = gguf.tokens[id];
    if (token.find('\n') != std::string_view::npos) {
      fail("{}: token {} has a line break; this is not a BERT vocabulary", path, id);
    }
    const PieceType type = type_of(gguf, id, path);
    if (token.starts_with(kSpaceSymbol)) {
      token.remove_prefix(kSpaceSymbol.size());
    } else if (!is_special(type) && type != PieceType::kUserDefined) {
      vocabulary += "##";
    }
    vocabulary += token;
    vocabulary += '\n';
  }
  return parse_wordpiece_vocab(vocabulary, gguf.lowercase.value_or(true), path);
}

}  // namespace

std::unique_ptr<Tokenizer> make_gguf_tokenizer(const GgufTokenizer& gguf, const std::string& path) {
  check(gguf, path);
  std::unique_ptr<Tokenizer> tokenizer;
  if (gguf.model == "gpt2") {
    tokenizer = make_byte_level(gguf, path);
  } else if (gguf.model == "llama") {
    tokenizer = make_sentencepiece(gguf, SentencePieceModel::Type::kBpe, path);
  } else if (gguf.model == "t5") {
    tokenizer = make_sentencepiece(gguf, SentencePieceModel::Type::kUnigram, path);
  } else if (gguf.model == "bert") {
    tokenizer = make_wordpiece(gguf, path);
  } else {
    fail("{}: unknown tokenizer \"{}\" (tokenizer.ggml.model); known are gpt2, llama, t5 and bert",
         path, gguf.model);
  }
  if (gguf.bos_id) tokenizer->bos_id = gguf.bos_id;
  if (gguf.eos_id) tokenizer->eos_id = gguf.eos_id;
  if (gguf.unk_id) tokenizer->unk_id = gguf.unk_id;
  if (gguf.pad_id) tokenizer->pad_id = gguf.pad_id;
  auto used = static_cast<std::size_t>(tokenizer->size());
  while (used > 0 && used <= gguf.tokens.size() &&
         type_of(gguf, used - 1, path) == PieceType::kUnused) {
    --used;
  }
  if (used < gguf.tokens.size()) tokenizer->padding_from = static_cast<std::int64_t>(used);
  return tokenizer;
}

}  // namespace tigerbot
