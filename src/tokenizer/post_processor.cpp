#include "tokenizer/post_processor.h"

#include <limits>

#include "tokenizer/json_node.h"

namespace tigerbot {
namespace {

using nlohmann::json;

TokenId id_of(const json& node, const std::string& where) {
  if (!node.is_number_unsigned() ||
      node.get<std::uint64_t>() > static_cast<std::uint64_t>(std::numeric_limits<TokenId>::max())) {
    fail("{}: a token's id must be a whole number", where);
  }
  return static_cast<TokenId>(node.get<std::uint64_t>());
}

// ["[SEP]", 102]
TokenId pair_field(const json& node, const char* key, const std::string& where) {
  const json& pair = required_node(node, key, where);
  if (!pair.is_array() || pair.size() != 2 || !pair[0].is_string()) {
    fail("{}: \"{}\" must be a token and its id", where, key);
  }
  return id_of(pair[1], where + "." + key);
}

PostProcessor make_template(const json& node, const std::string& where) {
  expect_keys(node, {"type", "single", "pair", "special_tokens"}, where);
  const json& special_tokens = required_node(node, "special_tokens", where);
  if (!special_tokens.is_object()) fail("{}.special_tokens: must be an object", where);
  const json& single = required_node(node, "single", where);
  if (!single.is_array()) fail("{}.single: must be a list", where);
  PostProcessor result;
  bool text_seen = false;
  for (std::size_t i = 0; i < single.size(); ++i) {
    const std::string part_where = fmt::format("{}.single[{}]", where, i);
    expect_keys(single[i], {"Sequence", "SpecialToken"}, part_where);
    if (single[i].size() != 1) fail("{}: must be a Sequence or a SpecialToken", part_where);
    const json& part = single[i].begin().value();
    expect_keys(part, {"id", "type_id"}, part_where);
    const std::string name = string_field(part, "id", part_where);
    if (single[i].contains("Sequence")) {
      if (name != "A" || text_seen) {
        fail("{}: a template for one text holds the sequence A once", part_where);
      }
      text_seen = true;
      continue;
    }
    const auto token = special_tokens.find(name);
    if (token == special_tokens.end()) {
      fail("{}: \"{}\" is not among special_tokens", part_where, name);
    }
    const std::string token_where = fmt::format("{}.special_tokens[{}]", where, name);
    expect_keys(*token, {"id", "ids", "tokens"}, token_where);
    const json& ids = required_node(*token, "ids", token_where);
    if (!ids.is_array()) fail("{}: \"ids\" must be a list", token_where);
    for (const json& id : ids) {
      (text_seen ? result.after : result.before).push_back(id_of(id, token_where));
    }
  }
  if (!text_seen) fail("{}.single: the sequence A is missing", where);
  return result;
}

PostProcessor make(const json& node, const std::string& where, int depth) {
  if (depth > 16) fail("{}: sequences are nested too deep", where);
  const std::string type = string_field(node, "type", where);
  if (type == "TemplateProcessing") return make_template(node, where);
  if (type == "BertProcessing" || type == "RobertaProcessing") {
    expect_keys(node, {"type", "sep", "cls", "trim_offsets", "add_prefix_space"}, where);
    return {{pair_field(node, "cls", where)}, {pair_field(node, "sep", where)}};
  }
  if (type == "ByteLevel") {  // changes offsets only
    expect_keys(node, {"type", "add_prefix_space", "trim_offsets", "use_regex"}, where);
    return {};
  }
  if (type != "Sequence") fail("{}: unknown post-processor \"{}\"", where, type);
  expect_keys(node, {"type", "processors"}, where);
  const json& list = required_node(node, "processors", where);
  if (!list.is_array()) fail("{}: \"processors\" must be a list", where);
  PostProcessor result;
  for (std::size_t i = 0; i < list.size(); ++i) {
    PostProcessor outer = make(list[i], fmt::format("{}.processors[{}]", where, i), depth + 1);
    outer.before.insert(outer.before.end(), result.before.begin(), result.before.end());
    result.after.insert(result.after.end(), outer.after.begin(), outer.after.end());
    result.before = std::move(outer.before);
  }
  return result;
}

}  // namespace

PostProcessor PostProcessor::from_json(const json& node, const std::string& where) {
  if (node.is_null()) return {};
  return make(node, where, 0);
}

}  // namespace tigerbot
