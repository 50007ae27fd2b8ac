// GGUF's tokenizers as tokenizer.json.

#include <algorithm>
#include <unordered_map>

#include "base/error.h"
#include "base/text.h"
#include "base/utf8.h"
#include "tokenizer/gguf_pre_tokenizers.h"
#include "weights/tokenizer_conversion.h"
#include "weights/wordpiece_vocabulary.h"

namespace tigerbot {
namespace {

// tokenizer.ggml.token_type
enum TokenType {
  kNormal = 1,
  kUnknown = 2,
  kControl = 3,
  kUserDefined = 4,
  kUnused = 5,
  kByte = 6
};

int type_of(const GgufTokenizer& gguf, std::size_t id) {
  return id < gguf.token_types.size() ? gguf.token_types[id] : int{kNormal};
}

bool is_added(int type) { return type == kControl || type == kUserDefined || type == kUnknown; }

Json added_tokens(const GgufTokenizer& gguf) {
  Json tokens = Json::array();
  for (std::size_t id = 0; id < gguf.tokens.size(); ++id) {
    const int type = type_of(gguf, id);
    if (!is_added(type)) continue;
    tokens.push_back({{"id", id},
                      {"content", gguf.tokens[id]},
                      {"single_word", false},
                      {"lstrip", false},
                      {"rstrip", false},
                      {"normalized", false},
                      {"special", type != kUserDefined}});
  }
  return tokens;
}

// Every piece that is used, with added tokens among them, so that ids stay as they are.
Json vocabulary(const GgufTokenizer& gguf, const std::string& path) {
  Json pieces = Json::object();
  for (std::size_t id = 0; id < gguf.tokens.size(); ++id) {
    if (type_of(gguf, id) == kUnused) continue;
    if (!is_valid_utf8(gguf.tokens[id])) {
      fail("{}: piece {} is not UTF-8, which tokenizer.json cannot hold", path, id);
    }
    if (!pieces.emplace(gguf.tokens[id], id).second) {
      fail("{}: the piece {} stands twice", path, quote(gguf.tokens[id]));
    }
  }
  return pieces;
}

// Adds beginning and end of sequence as the metadata ask.
Json post_processor(const GgufTokenizer& gguf, bool add_bos, bool add_eos) {
  add_bos &= gguf.bos_id.has_value();
  add_eos &= gguf.eos_id.has_value();
  if (!add_bos && !add_eos) return nullptr;
  Json special = Json::object();
  const auto token = [&](TokenId id, int type) -> Json {
    const std::string& text = gguf.tokens.at(static_cast<std::size_t>(id));
    special[text] = {{"id", text}, {"ids", {id}}, {"tokens", {text}}};
    return {{"SpecialToken", {{"id", text}, {"type_id", type}}}};
  };
  const auto part = [&](Json& list, const char* name, int type) {
    if (add_bos) list.push_back(token(*gguf.bos_id, type));
    list.push_back({{"Sequence", {{"id", name}, {"type_id", type}}}});
    if (add_eos) list.push_back(token(*gguf.eos_id, type));
  };
  Json single = Json::array();
  Json pair = Json::array();
  part(single, "A", 0);
  part(pair, "A", 0);
  part(pair, "B", 1);
  return {{"type", "TemplateProcessing"},
          {"single", single},
          {"pair", pair},
          {"special_tokens", special}};
}

Json document(const GgufTokenizer& gguf) {
  return {{"version", "1.0"},
          {"truncation", nullptr},
          {"padding", nullptr},
          {"added_tokens", added_tokens(gguf)}};
}

Json from_byte_level(const GgufTokenizer& gguf, const std::string& path) {
  const GgufPreTokenizer form = gguf_pre_tokenizer(gguf.pre, path);
  Json json = document(gguf);
  json["normalizer"] = Json::parse(form.normalizer);
  json["pre_tokenizer"] = Json::parse(form.pre_tokenizer);
  json["post_processor"] =
      post_processor(gguf, gguf.add_bos.value_or(form.add_bos), gguf.add_eos.value_or(false));
  if (json["post_processor"].is_null()) {
    json["post_processor"] = {{"type", "ByteLevel"},
                              {"add_prefix_space", true},
                              {"trim_offsets", false},
                              {"use_regex", true}};
  }
  json["decoder"] = {{"type", "ByteLevel"},
                     {"add_prefix_space", true},
                     {"trim_offsets", true},
                     {"use_regex", true}};
  json["model"] = {{"type", "BPE"},
                   {"dropout", nullptr},
                   {"unk_token", nullptr},
                   {"continuing_subword_prefix", nullptr},
                   {"end_of_word_suffix", nullptr},
                   {"fuse_unk", false},
                   {"byte_fallback", false},
                   {"ignore_merges", form.ignore_merges},
                   {"vocab", vocabulary(gguf, path)},
                   {"merges", gguf.merges}};
  return json;
}

// Ways to put a piece together of two others, the better piece first, as transformers' converter
// orders them: SentencePiece joins the pair whose result scores best.
Json merges_from_scores(const GgufTokenizer& gguf, const std::string& path) {
  if (gguf.scores.size() != gguf.tokens.size()) {
    fail("{}: tokenizer.ggml.scores is missing; a SentencePiece tokenizer needs it", path);
  }
  std::unordered_map<std::string_view, std::size_t> ids;
  for (std::size_t id = 0; id < gguf.tokens.size(); ++id) {
    if (type_of(gguf, id) != kUnused) ids.emplace(gguf.tokens[id], id);
  }
  struct Merge {
    std::size_t whole, left, right;
  };
  std::vector<Merge> merges;
  for (std::size_t id = 0; id < gguf.tokens.size(); ++id) {
    if (type_of(gguf, id) != kNormal) continue;
    const std::string_view piece = gguf.tokens[id];
    for (std::size_t cut = 1; cut < piece.size(); ++cut) {
      if ((static_cast<unsigned char>(piece[cut]) & 0xC0) == 0x80) continue;
      const auto left = ids.find(piece.substr(0, cut));
      if (left == ids.end()) continue;
      const auto right = ids.find(piece.substr(cut));
      if (right == ids.end()) continue;
      merges.push_back({id, left->second, right->second});
    }
  }
  std::ranges::stable_sort(merges, [&](const Merge& a, const Merge& b) {
    if (gguf.scores[a.whole] != gguf.scores[b.whole]) {
      return gguf.scores[a.whole] > gguf.scores[b.whole];
    }
    return std::tie(a.left, a.right) < std::tie(b.left, b.right);
  });
  Json list = Json::array();
  for (const Merge& merge : merges) {
    list.push_back({gguf.tokens[merge.left], gguf.tokens[merge.right]});
  }
  return list;
}

Json from_sentencepiece(const GgufTokenizer& gguf, const std::string& path) {
  const bool prefix = gguf.add_space_prefix.value_or(true);
  const std::string space = "\xE2\x96\x81";  // U+2581
  std::string unknown;
  for (std::size_t id = 0; id < gguf.tokens.size(); ++id) {
    if (type_of(gguf, id) == kUnknown) unknown = gguf.tokens[id];
  }
  Json json = document(gguf);
  const Json replace = {{"type", "Replace"}, {"pattern", {{"String", " "}}}, {"content", space}};
  const Json prepend = {{"type", "Prepend"}, {"prepend", space}};
  json["normalizer"] = {{"type", "Sequence"},
                        {"normalizers", prefix ? Json{prepend, replace} : Json::array({replace})}};
  json["pre_tokenizer"] = nullptr;
  json["post_processor"] =
      post_processor(gguf, gguf.add_bos.value_or(true), gguf.add_eos.value_or(false));
  Json steps = {{{"type", "Replace"}, {"pattern", {{"String", space}}}, {"content", " "}},
                {{"type", "ByteFallback"}},
                {{"type", "Fuse"}}};
  if (prefix) {
    steps.push_back({{"type", "Strip"}, {"content", " "}, {"start", 1}, {"stop", 0}});
  }
  json["decoder"] = {{"type", "Sequence"}, {"decoders", steps}};
  json["model"] = {{"type", "BPE"},
                   {"dropout", nullptr},
                   {"unk_token", unknown.empty() ? Json() : Json(unknown)},
                   {"continuing_subword_prefix", nullptr},
                   {"end_of_word_suffix", nullptr},
                   {"fuse_unk", true},
                   {"byte_fallback", true},
                   {"ignore_merges", false},
                   {"vocab", vocabulary(gguf, path)},
                   {"merges", merges_from_scores(gguf, path)}};
  return json;
}

// llama.cpp marks the beginning of a word where WordPiece marks its continuation.
Json from_wordpiece(const GgufTokenizer& gguf, const std::string& path) {
  std::string vocabulary_text;
  for (std::size_t id = 0; id < gguf.tokens.size(); ++id) {
    std::string_view piece = gguf.tokens[id];
    if (type_of(gguf, id) == kControl || type_of(gguf, id) == kUnknown) {
      vocabulary_text += piece;
    } else if (piece.starts_with("\xE2\x96\x81")) {
      vocabulary_text += piece.substr(3);
    } else {
      vocabulary_text += piece.starts_with('[') && piece.ends_with(']') ? "" : "##";
      vocabulary_text += piece;
    }
    if (id + 1 < gguf.tokens.size()) vocabulary_text += '\n';
  }
  return Json::parse(wordpiece_tokenizer_json(vocabulary_text, path,
                                              {{"do_lower_case", gguf.lowercase.value_or(true)}}));
}

}  // namespace

Json tokenizer_json_from_gguf(const GgufTokenizer& gguf, const std::string& path) {
  if (gguf.model == "gpt2") return from_byte_level(gguf, path);
  if (gguf.model == "llama") return from_sentencepiece(gguf, path);
  if (gguf.model == "bert") return from_wordpiece(gguf, path);
  fail("{}: a tokenizer of kind {} cannot be written as tokenizer.json; gpt2, llama and bert can",
       path, quote(gguf.model));
}

}  // namespace tigerbot
