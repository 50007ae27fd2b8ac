#include "tokenizer/character_bpe.h"

#include <nlohmann/json.hpp>
#include <unordered_map>

#include "base/error.h"
#include "tokenizer/character_merger.h"
#include "tokenizer/json_node.h"
#include "tokenizer/utf8.h"
#include "tokenizer/vocabulary.h"

namespace tigerbot {
namespace {

using Symbol = CharacterMerger::Symbol;

bool is_one_character(std::string_view text) {
  return !text.empty() && text.size() == utf8_length(static_cast<unsigned char>(text[0]));
}

std::string_view last_character(std::string_view text) {
  std::size_t at = text.size() - 1;
  while (at > 0 && (static_cast<unsigned char>(text[at]) & 0xC0) == 0x80) --at;
  return text.substr(at);
}

std::pair<std::string, std::string> read_merge(const nlohmann::json& merge,
                                               const std::string& where) {
  if (merge.is_string()) {
    const auto& text = merge.get_ref<const std::string&>();
    const std::size_t space = text.find(' ');
    if (space != std::string::npos && text.find(' ', space + 1) == std::string::npos) {
      return {text.substr(0, space), text.substr(space + 1)};
    }
  } else if (merge.is_array() && merge.size() == 2 && merge[0].is_string() &&
             merge[1].is_string()) {
    return {merge[0].get<std::string>(), merge[1].get<std::string>()};
  }
  fail("{}: a merge is two pieces, in a list or with one space between", where);
}

}  // namespace

struct CharacterBpe::Tables {
  Vocabulary vocabulary;
  std::optional<TokenId> unk_id;
  std::string prefix, suffix;
  bool ignore_merges = false;
  std::optional<std::vector<TokenId>> byte_ids;
  bool fuse_unk = false;
  std::unique_ptr<CharacterMerger> merger;

  void encode_marked(std::string_view word, std::vector<TokenId>& ids) const;
};

CharacterBpe::CharacterBpe(Options options, const std::string& where) {
  auto tables = std::make_unique<Tables>();
  tables->vocabulary = Vocabulary(std::move(options.vocabulary));
  tables->prefix = std::move(options.continuing_subword_prefix);
  tables->suffix = std::move(options.end_of_word_suffix);
  tables->ignore_merges = options.ignore_merges;
  tables->fuse_unk = options.fuse_unk;
  const Vocabulary& vocabulary = tables->vocabulary;
  if (options.unk_token) {
    tables->unk_id = vocabulary.id(*options.unk_token);
    if (!tables->unk_id) {
      fail("{}: the unknown piece \"{}\" is not in the vocabulary", where, *options.unk_token);
    }
  }
  if (options.byte_fallback) tables->byte_ids = byte_piece_ids(vocabulary, where);

  CharacterMerger::Rules rules;
  for (TokenId id = 0; id < vocabulary.size(); ++id) {
    rules.ids.push_back(id);
    const std::string& piece = vocabulary.piece(id);
    if (is_one_character(piece) && vocabulary.id(piece) == id) {
      rules.characters.emplace_back(next_code_point(piece, 0).code_point, id);
    }
  }
  rules.unk_id = tables->unk_id.value_or(CharacterMerger::kUnknown);
  rules.fuse_unk = options.fuse_unk;
  std::vector<char> is_byte(static_cast<std::size_t>(vocabulary.size()), 0);
  if (tables->byte_ids) {
    rules.byte_fallback = true;
    for (std::size_t byte = 0; byte < 256; ++byte) {
      rules.byte_ids[byte] = (*tables->byte_ids)[byte];
      is_byte[rules.byte_ids[byte]] = 1;
    }
  }
  for (std::size_t rank = 0; rank < options.merges.size(); ++rank) {
    const auto& [left, right] = options.merges[rank];
    const auto id_of = [&](const std::string& piece) {
      const auto id = vocabulary.id(piece);
      if (!id) {
        fail("{}.merges[{}]: \"{}\" is not in the vocabulary", where, rank, piece);
      }
      return *id;
    };
    const TokenId left_id = id_of(left), right_id = id_of(right);
    if (!right.starts_with(tables->prefix)) {
      fail("{}.merges[{}]: \"{}\" lacks the prefix \"{}\"", where, rank, right, tables->prefix);
    }
    const TokenId merged = id_of(left + right.substr(tables->prefix.size()));
    rules.merges.push_back({left_id, right_id, merged, static_cast<std::uint32_t>(rank)});
    // Byte pieces arise from characters that are no pieces, so a merge of them crosses anything.
    if (is_byte[left_id] || is_byte[right_id]) rules.may_split = false;
    const auto before = vocabulary.id(last_character(left));
    const auto after = vocabulary.id(
        std::string_view(right).substr(0, utf8_length(static_cast<unsigned char>(right[0]))));
    if (before && after) rules.joins.emplace_back(*before, *after);
  }
  tables->merger = std::make_unique<CharacterMerger>(std::move(rules));
  tables_ = std::move(tables);
}

CharacterBpe::~CharacterBpe() = default;

std::unique_ptr<CharacterBpe> CharacterBpe::from_json(const nlohmann::json& model,
                                                      const std::string& where) {
  expect_keys(model,
              {"type", "dropout", "unk_token", "continuing_subword_prefix", "end_of_word_suffix",
               "fuse_unk", "byte_fallback", "ignore_merges", "vocab", "merges"},
              where);
  const auto dropout = model.find("dropout");
  if (dropout != model.end() && !dropout->is_null() &&
      !(dropout->is_number() && dropout->get<double>() == 0.0)) {
    fail("{}: \"dropout\" must be null; encoding at random is not supported", where);
  }
  Options options;
  options.vocabulary = read_json_vocabulary(required_node(model, "vocab", where), where + ".vocab");
  const nlohmann::json& merges = required_node(model, "merges", where);
  if (!merges.is_array()) fail("{}: \"merges\" must be a list", where);
  for (std::size_t rank = 0; rank < merges.size(); ++rank) {
    auto merge = read_merge(merges[rank], fmt::format("{}.merges[{}]", where, rank));
    if (merge.first.empty() || merge.second.empty()) {
      fail("{}.merges[{}]: a piece is empty", where, rank);
    }
    options.merges.push_back(std::move(merge));
  }
  options.unk_token = optional_string_field(model, "unk_token", where);
  options.continuing_subword_prefix =
      optional_string_field(model, "continuing_subword_prefix", where).value_or("");
  options.end_of_word_suffix =
      optional_string_field(model, "end_of_word_suffix", where).value_or("");
  options.fuse_unk = bool_field(model, "fuse_unk", false, where);
  options.byte_fallback = bool_field(model, "byte_fallback", false, where);
  options.ignore_merges = bool_field(model, "ignore_merges", false, where);
  return std::make_unique<CharacterBpe>(std::move(options), where);
}

void CharacterBpe::encode(std::string_view word, std::vector<TokenId>& ids) const {
  if (tables_->ignore_merges) {
    if (const auto id = tables_->vocabulary.id(word)) {
      ids.push_back(*id);
      return;
    }
  }
  if (tables_->prefix.empty() && tables_->suffix.empty()) {
    bool after_unknown = false;
    tables_->merger->encode(word, after_unknown, ids);
  } else {
    tables_->encode_marked(word, ids);
  }
}

// Characters carry a prefix after the first and a suffix at the last, so what a character is
// depends on where it stands.
void CharacterBpe::Tables::encode_marked(std::string_view word, std::vector<TokenId>& ids) const {
  std::vector<Symbol> symbols;
  bool after_unknown = false;
  for (std::size_t at = 0; at < word.size();) {
    const std::size_t length = utf8_length(static_cast<unsigned char>(word[at]));
    std::string marked = at == 0 ? std::string() : prefix;
    marked += word.substr(at, length);
    at += length;
    if (at == word.size()) marked += suffix;
    if (const auto id = vocabulary.id(marked)) {
      symbols.push_back(*id);
      after_unknown = false;
    } else if (byte_ids) {
      for (const char byte : marked) {
        symbols.push_back((*byte_ids)[static_cast<unsigned char>(byte)]);
      }
    } else if (unk_id) {
      if (!after_unknown || !fuse_unk) symbols.push_back(*unk_id);
      after_unknown = true;
    }
  }
  merger->encode_symbols(symbols, ids);
}

std::int64_t CharacterBpe::size() const { return tables_->vocabulary.size(); }
std::optional<TokenId> CharacterBpe::id(std::string_view piece) const {
  return tables_->vocabulary.id(piece);
}
const std::string& CharacterBpe::piece(TokenId id) const { return tables_->vocabulary.piece(id); }
std::optional<TokenId> CharacterBpe::unk_id() const { return tables_->unk_id; }

}  // namespace tigerbot
