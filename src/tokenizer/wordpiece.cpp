#include "tokenizer/wordpiece.h"

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "tokenizer/byte_trie.h"
#include "tokenizer/json_node.h"
#include "tokenizer/utf8.h"
#include "tokenizer/vocabulary.h"

namespace tigerbot {

struct WordPiece::Tables {
  Vocabulary vocabulary;
  ByteTrie first;  // pieces that may begin a word
  ByteTrie later;  // pieces after the first, without their prefix
  std::optional<TokenId> unk_id;
  std::string unk_token;
  std::size_t max_input_chars_per_word;
  std::string where;
};

WordPiece::WordPiece(Options options, const std::string& where) {
  std::vector<std::pair<std::string, std::int32_t>> first, later;
  for (std::size_t i = 0; i < options.vocabulary.size(); ++i) {
    const std::string& piece = options.vocabulary[i];
    const auto id = static_cast<TokenId>(i);
    if (piece.empty()) continue;
    first.emplace_back(piece, id);
    if (piece.starts_with(options.continuing_subword_prefix) &&
        piece.size() > options.continuing_subword_prefix.size()) {
      later.emplace_back(piece.substr(options.continuing_subword_prefix.size()), id);
    }
  }
  auto tables = std::make_unique<Tables>();
  tables->vocabulary = Vocabulary(std::move(options.vocabulary));
  tables->first = ByteTrie(std::move(first));
  tables->later = ByteTrie(std::move(later));
  tables->unk_id = tables->vocabulary.id(options.unk_token);
  tables->unk_token = std::move(options.unk_token);
  tables->max_input_chars_per_word = options.max_input_chars_per_word;
  tables->where = where;
  tables_ = std::move(tables);
}

WordPiece::~WordPiece() = default;

std::unique_ptr<WordPiece> WordPiece::from_json(const nlohmann::json& model,
                                                const std::string& where) {
  expect_keys(
      model,
      {"type", "unk_token", "continuing_subword_prefix", "max_input_chars_per_word", "vocab"},
      where);
  Options options;
  options.vocabulary = read_json_vocabulary(required_node(model, "vocab", where), where + ".vocab");
  options.unk_token = string_field(model, "unk_token", where);
  options.continuing_subword_prefix = string_field(model, "continuing_subword_prefix", where);
  options.max_input_chars_per_word = static_cast<std::size_t>(
      integer_field(model, "max_input_chars_per_word", 1'000'000'000, where));
  return std::make_unique<WordPiece>(std::move(options), where);
}

void WordPiece::encode(std::string_view word, std::vector<TokenId>& ids) const {
  const std::size_t before = ids.size();
  std::size_t characters = 0;
  for (const char byte : word) characters += (static_cast<unsigned char>(byte) & 0xC0) != 0x80;
  bool whole = characters <= tables_->max_input_chars_per_word;
  for (std::size_t at = 0; whole && at < word.size();) {
    const ByteTrie& trie = at == 0 ? tables_->first : tables_->later;
    const ByteTrie::Match match = trie.longest_match(word.substr(at));
    whole = match.length > 0;
    if (whole) ids.push_back(match.value);
    at += match.length;
  }
  if (whole) return;
  ids.resize(before);
  if (!tables_->unk_id) {
    fail(
        "{}: a word is no sequence of pieces, and the unknown piece \"{}\" is not in the "
        "vocabulary",
        tables_->where, tables_->unk_token);
  }
  ids.push_back(*tables_->unk_id);
}

std::int64_t WordPiece::size() const { return tables_->vocabulary.size(); }
std::optional<TokenId> WordPiece::id(std::string_view piece) const {
  return tables_->vocabulary.id(piece);
}
const std::string& WordPiece::piece(TokenId id) const { return tables_->vocabulary.piece(id); }
std::optional<TokenId> WordPiece::unk_id() const { return tables_->unk_id; }

std::unique_ptr<Tokenizer> parse_wordpiece_vocab(std::string_view text, bool lowercase,
                                                 const std::string& path) {
  // The same tokenizer as tokenizer.json would describe it.
  using Json = nlohmann::json;
  if (!is_valid_utf8(text)) fail("{}: not UTF-8 text", path);
  Json vocabulary = Json::object();
  std::int64_t id = 0;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    while (!line.empty() && (line.back() == '\r' || line.back() == ' ' || line.back() == '\t')) {
      line.remove_suffix(1);
    }
    if (!line.empty()) vocabulary[std::string(line)] = id;
    ++id;
  }
  Json added = Json::array();
  for (const char* const token : {"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"}) {
    if (!vocabulary.contains(token)) {
      fail("{}: the piece {} is missing; this is not a BERT vocabulary", path, token);
    }
    added.push_back({{"id", vocabulary[token]},
                     {"content", token},
                     {"single_word", false},
                     {"lstrip", false},
                     {"rstrip", false},
                     {"normalized", false},
                     {"special", true}});
  }
  const Json document = {{"version", "1.0"},
                         {"added_tokens", added},
                         {"normalizer",
                          {{"type", "BertNormalizer"},
                           {"clean_text", true},
                           {"handle_chinese_chars", true},
                           {"strip_accents", nullptr},
                           {"lowercase", lowercase}}},
                         {"pre_tokenizer", {{"type", "BertPreTokenizer"}}},
                         {"post_processor",
                          {{"type", "BertProcessing"},
                           {"sep", {"[SEP]", vocabulary["[SEP]"]}},
                           {"cls", {"[CLS]", vocabulary["[CLS]"]}}}},
                         {"decoder", {{"type", "WordPiece"}, {"prefix", "##"}, {"cleanup", true}}},
                         {"model",
                          {{"type", "WordPiece"},
                           {"unk_token", "[UNK]"},
                           {"continuing_subword_prefix", "##"},
                           {"max_input_chars_per_word", 100},
                           {"vocab", vocabulary}}}};
  auto tokenizer = parse_tokenizer_json(document.dump(), path);
  tokenizer->bos_id = tokenizer->id("[CLS]");
  tokenizer->eos_id = tokenizer->id("[SEP]");
  tokenizer->pad_id = tokenizer->id("[PAD]");
  tokenizer->unk_id = tokenizer->id("[UNK]");
  return tokenizer;
}

}  // namespace tigerbot
