#include <limits>
#include <nlohmann/json.hpp>
#include <utility>

#include "tokenizer/byte_level_alphabet.h"
#include "tokenizer/byte_level_bpe.h"
#include "tokenizer/character_bpe.h"
#include "tokenizer/json_node.h"
#include "tokenizer/pipeline_tokenizer.h"
#include "tokenizer/unigram.h"
#include "tokenizer/utf8.h"
#include "tokenizer/wordpiece.h"

namespace tigerbot {
namespace {

using nlohmann::json;

constexpr std::int64_t kMaximumId = (std::int64_t{1} << 21) - 2;
// Ids may have holes, but not absurdly large ones.
constexpr std::size_t kMaximumHole = 65536;

template <typename Model>
class PieceModelOf : public PieceModel {
 public:
  explicit PieceModelOf(std::unique_ptr<Model> model) : model_(std::move(model)) {}
  void encode(std::string_view word, std::vector<TokenId>& ids) const override {
    model_->encode(word, ids);
  }

 private:
  std::unique_ptr<Model> model_;
};

template <typename Model>
void use_piece_model(std::unique_ptr<Model> model, std::string kind, Pipeline& pipeline) {
  pipeline.kind = std::move(kind);
  for (TokenId id = 0; id < model->size(); ++id) pipeline.pieces.push_back(model->piece(id));
  pipeline.piece_model = std::make_unique<PieceModelOf<Model>>(std::move(model));
}

std::vector<std::string> read_vocabulary(const json& vocabulary, const std::string& where) {
  if (!vocabulary.is_object()) fail("{}: must be an object of pieces and ids", where);
  std::vector<std::string> pieces;
  pieces.reserve(vocabulary.size());
  for (auto item = vocabulary.begin(); item != vocabulary.end(); ++item) {
    const json& value = item.value();
    if (!value.is_number_unsigned() || value.get<std::uint64_t>() > std::uint64_t{kMaximumId}) {
      fail("{}[\"{}\"]: an id must be a whole number of 0 to {}", where, item.key(), kMaximumId);
    }
    const auto id = static_cast<std::size_t>(value.get<std::uint64_t>());
    if (id > vocabulary.size() + kMaximumHole) {
      fail("{}[\"{}\"]: the id {} is absurd for {} pieces", where, item.key(), id,
           vocabulary.size());
    }
    if (id >= pieces.size()) pieces.resize(id + 1);
    if (!pieces[id].empty()) {
      fail("{}: \"{}\" and \"{}\" have the same id {}", where, pieces[id], item.key(), id);
    }
    pieces[id] = item.key();
  }
  return pieces;
}

std::vector<std::string> read_merges(const json& merges, const std::string& where) {
  if (!merges.is_array()) fail("{}: must be a list", where);
  std::vector<std::string> result;
  result.reserve(merges.size());
  for (std::size_t i = 0; i < merges.size(); ++i) {
    const json& merge = merges[i];
    if (merge.is_string()) {
      result.push_back(merge.get_ref<const std::string&>());
    } else if (merge.is_array() && merge.size() == 2 && merge[0].is_string() &&
               merge[1].is_string()) {
      result.push_back(merge[0].get_ref<const std::string&>() + " " +
                       merge[1].get_ref<const std::string&>());
    } else {
      fail("{}[{}]: a merge is a string or a list of two", where, i);
    }
  }
  return result;
}

bool has_every_byte(const json& vocabulary) {
  if (!vocabulary.is_object()) return false;
  for (int byte = 0; byte < 256; ++byte) {
    if (!vocabulary.contains(to_byte_level(std::string(1, static_cast<char>(byte))))) return false;
  }
  return true;
}

void read_bpe(const json& model, const std::string& where, Pipeline& pipeline) {
  expect_keys(model,
              {"type", "dropout", "unk_token", "continuing_subword_prefix", "end_of_word_suffix",
               "fuse_unk", "byte_fallback", "ignore_merges", "vocab", "merges"},
              where);
  const auto dropout = model.find("dropout");
  if (dropout != model.end() && !dropout->is_null() &&
      !(dropout->is_number() && dropout->get<double>() == 0.0)) {
    fail("{}: \"dropout\" must be null; encoding at random is not supported", where);
  }
  const auto unk_token = optional_string_field(model, "unk_token", where);
  const bool plain =
      optional_string_field(model, "continuing_subword_prefix", where).value_or("").empty() &&
      optional_string_field(model, "end_of_word_suffix", where).value_or("").empty();
  const json& vocabulary = required_node(model, "vocab", where);
  // Where every byte is a piece, nothing is ever unknown.
  if (pipeline.pre_tokenizer.byte_level() && plain &&
      (has_every_byte(vocabulary) ||
       (!unk_token && !bool_field(model, "byte_fallback", false, where)))) {
    pipeline.kind = "byte-level BPE";
    pipeline.pieces = read_vocabulary(vocabulary, where + ".vocab");
    pipeline.byte_model = std::make_unique<BpeModel>(
        pipeline.pieces, read_merges(required_node(model, "merges", where), where + ".merges"),
        bool_field(model, "ignore_merges", false, where), where);
    return;
  }
  use_piece_model(CharacterBpe::from_json(model, where), "BPE", pipeline);
}

void read_model(const json& model, const std::string& where, Pipeline& pipeline) {
  if (!model.is_object()) fail("{}: must be an object", where);
  // Files from before the key was introduced are BPE if they have merges.
  const std::string type = !model.contains("type") && model.contains("merges")
                               ? "BPE"
                               : string_field(model, "type", where);
  if (type == "BPE") {
    read_bpe(model, where, pipeline);
  } else if (type == "Unigram") {
    use_piece_model(Unigram::from_json(model, where), "unigram", pipeline);
  } else if (type == "WordPiece") {
    use_piece_model(WordPiece::from_json(model, where), "WordPiece", pipeline);
  } else {
    fail("{}: unknown model \"{}\"", where, type);
  }
}

std::vector<AddedToken> read_added_tokens(const json& list, const std::string& where) {
  std::vector<AddedToken> tokens;
  if (list.is_null()) return tokens;
  if (!list.is_array()) fail("{}: must be a list", where);
  for (std::size_t i = 0; i < list.size(); ++i) {
    const json& node = list[i];
    const std::string token_where = fmt::format("{}[{}]", where, i);
    expect_keys(node, {"id", "content", "single_word", "lstrip", "rstrip", "normalized", "special"},
                token_where);
    AddedToken token;
    token.id = static_cast<TokenId>(integer_field(node, "id", kMaximumId, token_where));
    token.content = string_field(node, "content", token_where);
    token.special = bool_field(node, "special", false, token_where);
    token.normalized = bool_field(node, "normalized", !token.special, token_where);
    token.lstrip = bool_field(node, "lstrip", false, token_where);
    token.rstrip = bool_field(node, "rstrip", false, token_where);
    token.single_word = bool_field(node, "single_word", false, token_where);
    tokens.push_back(std::move(token));
  }
  return tokens;
}

// Two pieces with one id, or one piece with two, would make ids ambiguous.
void check_added_tokens(const Pipeline& pipeline, const std::string& where) {
  std::unordered_map<std::string_view, TokenId> by_piece;
  std::unordered_map<TokenId, std::string_view> by_id;
  for (const AddedToken& token : pipeline.added_tokens) {
    const auto [same_piece, new_piece] = by_piece.try_emplace(token.content, token.id);
    const auto [same_id, new_id] = by_id.try_emplace(token.id, token.content);
    if (same_piece->second != token.id || same_id->second != token.content) {
      fail("{}: \"{}\" (id {}) contradicts another added token", where, token.content, token.id);
    }
    const auto index = static_cast<std::size_t>(token.id);
    if (index > pipeline.pieces.size() + pipeline.added_tokens.size() + kMaximumHole) {
      fail("{}: \"{}\" has the id {}, absurd for {} pieces", where, token.content, token.id,
           pipeline.pieces.size());
    }
    if (index < pipeline.pieces.size() && !pipeline.pieces[index].empty() &&
        pipeline.pieces[index] != token.content) {
      fail("{}: \"{}\" has the id {} of the piece \"{}\"", where, token.content, token.id,
           pipeline.pieces[index]);
    }
  }
  for (std::size_t i = 0; i < pipeline.pieces.size(); ++i) {
    const auto found = by_piece.find(pipeline.pieces[i]);
    if (!pipeline.pieces[i].empty() && found != by_piece.end() &&
        found->second != static_cast<TokenId>(i)) {
      fail("{}: \"{}\" has id {} here and {} in the vocabulary", where, found->first, found->second,
           i);
    }
  }
}

}  // namespace

std::unique_ptr<Tokenizer> parse_tokenizer_json(std::string_view text, const std::string& path) {
  json document;
  try {
    document = json::parse(text);
  } catch (const json::exception& error) {
    // The message begins with the library's own number in brackets.
    const std::string what = error.what();
    fail("{}: not valid JSON: {}", path, what.substr(std::min(what.find("] ") + 2, what.size())));
  }
  expect_keys(document,
              {"version", "truncation", "padding", "added_tokens", "normalizer", "pre_tokenizer",
               "post_processor", "decoder", "model"},
              path);
  if (document.value("version", json("1.0")) != json("1.0")) {
    fail("{}: \"version\" must be \"1.0\"", path);
  }
  const auto node = [&](const char* key) {
    const auto found = document.find(key);
    return found == document.end() ? json() : std::move(*found);
  };
  Pipeline pipeline;
  pipeline.normalizer = make_normalizer(node("normalizer"), path + ": normalizer");
  pipeline.pre_tokenizer = PreTokenizer::from_json(node("pre_tokenizer"), path + ": pre_tokenizer");
  pipeline.post_processor =
      PostProcessor::from_json(node("post_processor"), path + ": post_processor");
  pipeline.decoder = Decoder::from_json(node("decoder"), path + ": decoder");
  pipeline.added_tokens = read_added_tokens(node("added_tokens"), path + ": added_tokens");
  const json model = node("model");
  read_model(model, path + ": model", pipeline);
  check_added_tokens(pipeline, path + ": added_tokens");
  const std::vector<std::vector<TokenId>> around = {pipeline.post_processor.before,
                                                    pipeline.post_processor.after};
  const auto unk_token = model.find("unk_token");
  auto tokenizer = std::make_unique<PipelineTokenizer>(std::move(pipeline));
  for (const std::vector<TokenId>& ids : around) {
    for (const TokenId id : ids) {
      if (id >= tokenizer->size() || tokenizer->piece(id).empty()) {
        fail("{}: post_processor: adds the id {}, which no piece has", path, id);
      }
    }
  }
  if (unk_token != model.end() && unk_token->is_string()) {
    tokenizer->unk_id = tokenizer->id(unk_token->get<std::string>());
  }
  return tokenizer;
}

std::unique_ptr<Tokenizer> make_byte_level_tokenizer(ByteLevelBpeParts parts,
                                                     const std::string& path) {
  Pipeline pipeline;
  pipeline.kind = "byte-level BPE";
  pipeline.normalizer = make_normalizer(json::parse(parts.normalizer), path + ": normalizer");
  pipeline.pre_tokenizer =
      PreTokenizer::from_json(json::parse(parts.pre_tokenizer), path + ": pre-tokenizer");
  if (!pipeline.pre_tokenizer.byte_level()) fail("{}: the pre-tokenizer is not byte-level", path);
  pipeline.post_processor =
      PostProcessor::from_json(json::parse(parts.post_processor), path + ": post-processor");
  pipeline.decoder = Decoder::from_json(json{{"type", "ByteLevel"}}, path + ": decoder");
  pipeline.pieces = std::move(parts.pieces);
  pipeline.added_tokens = std::move(parts.added_tokens);
  for (const AddedToken& token : pipeline.added_tokens) {
    if (token.id < 0 || token.id > kMaximumId) {
      fail("{}: the added token \"{}\" has the id {}", path, token.content, token.id);
    }
  }
  pipeline.byte_model = std::make_unique<BpeModel>(pipeline.pieces, parts.merges,
                                                   parts.ignore_merges, path + ": merges");
  return std::make_unique<PipelineTokenizer>(std::move(pipeline));
}

}  // namespace tigerbot
