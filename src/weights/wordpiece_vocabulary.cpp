#include "weights/wordpiece_vocabulary.h"

#include "base/error.h"
#include "base/text.h"
#include "base/utf8.h"

namespace tigerbot {
namespace {

std::string token_text(const Json& config, const char* role, const char* fallback) {
  if (!config.contains(role)) return fallback;
  const Json& value = config[role];
  if (value.is_string()) return value.get<std::string>();
  if (value.is_object() && value.contains("content") && value["content"].is_string()) {
    return value["content"].get<std::string>();
  }
  return fallback;
}

}  // namespace

std::string wordpiece_tokenizer_json(std::string_view vocabulary, const std::string& path,
                                     const Json& tokenizer_config) {
  if (!is_valid_utf8(vocabulary)) fail("{}: is not UTF-8 text; fetch it again", path);
  Json pieces = Json::object();
  std::int64_t id = 0;
  while (!vocabulary.empty()) {
    const std::size_t end = vocabulary.find('\n');
    std::string_view line = vocabulary.substr(0, end);
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (pieces.contains(std::string(line))) {
      fail("{}:{}: the piece {} stands twice", path, id + 1, quote(line));
    }
    pieces[std::string(line)] = id++;
    if (end == std::string_view::npos) break;
    vocabulary.remove_prefix(end + 1);
  }

  const std::string unk = token_text(tokenizer_config, "unk_token", "[UNK]");
  const std::string cls = token_text(tokenizer_config, "cls_token", "[CLS]");
  const std::string sep = token_text(tokenizer_config, "sep_token", "[SEP]");
  const std::string pad = token_text(tokenizer_config, "pad_token", "[PAD]");
  const std::string mask = token_text(tokenizer_config, "mask_token", "[MASK]");
  Json added = Json::array();
  for (const std::string& text : {pad, unk, cls, sep, mask}) {
    if (!pieces.contains(text)) {
      fail("{}: the special token {} is not among the pieces", path, quote(text));
    }
    added.push_back({{"id", pieces[text]},
                     {"content", text},
                     {"single_word", false},
                     {"lstrip", false},
                     {"rstrip", false},
                     {"normalized", false},
                     {"special", true}});
  }
  const auto special = [&](const std::string& text) {
    return Json{{"id", text}, {"ids", {pieces[text]}}, {"tokens", {text}}};
  };
  const auto is_set = [&](const char* key, bool fallback) {
    return tokenizer_config.contains(key) && tokenizer_config[key].is_boolean()
               ? tokenizer_config[key].get<bool>()
               : fallback;
  };
  const Json strip_accents =
      tokenizer_config.contains("strip_accents") ? tokenizer_config["strip_accents"] : Json();
  const auto sequence = [](const char* name, int type) {
    return Json{{"Sequence", {{"id", name}, {"type_id", type}}}};
  };
  const auto token = [](const std::string& name, int type) {
    return Json{{"SpecialToken", {{"id", name}, {"type_id", type}}}};
  };
  const Json json = {
      {"version", "1.0"},
      {"truncation", nullptr},
      {"padding", nullptr},
      {"added_tokens", added},
      {"normalizer",
       {{"type", "BertNormalizer"},
        {"clean_text", true},
        {"handle_chinese_chars", is_set("tokenize_chinese_chars", true)},
        {"strip_accents", strip_accents},
        {"lowercase", is_set("do_lower_case", true)}}},
      {"pre_tokenizer", {{"type", "BertPreTokenizer"}}},
      {"post_processor",
       {{"type", "TemplateProcessing"},
        {"single", {token(cls, 0), sequence("A", 0), token(sep, 0)}},
        {"pair", {token(cls, 0), sequence("A", 0), token(sep, 0), sequence("B", 1), token(sep, 1)}},
        {"special_tokens", {{cls, special(cls)}, {sep, special(sep)}}}}},
      {"decoder", {{"type", "WordPiece"}, {"prefix", "##"}, {"cleanup", true}}},
      {"model",
       {{"type", "WordPiece"},
        {"unk_token", unk},
        {"continuing_subword_prefix", "##"},
        {"max_input_chars_per_word", 100},
        {"vocab", pieces}}},
  };
  return json.dump();
}

}  // namespace tigerbot
