#include <algorithm>
#include <unordered_map>
#include <utility>

#include "base/error.h"
#include "base/text.h"
#include "tokenizer/byte_level_alphabet.h"
#include "tokenizer/extension/byte_level_extension.h"
#include "tokenizer/json_node.h"
#include "tokenizer/vocabulary.h"

namespace tigerbot {
namespace {

using nlohmann::json;
using nlohmann::ordered_json;

struct Merges {
  std::vector<std::string> list;
  bool are_strings = false;
};

Merges read_merges(const json& node, const std::string& where) {
  if (!node.is_array()) fail("{}: must be a list", where);
  Merges merges;
  for (std::size_t i = 0; i < node.size(); ++i) {
    const json& merge = node[i];
    if (merge.is_string()) {
      merges.are_strings = true;
      merges.list.push_back(merge.get<std::string>());
    } else if (merge.is_array() && merge.size() == 2 && merge[0].is_string() &&
               merge[1].is_string()) {
      merges.list.push_back(merge[0].get<std::string>() + " " + merge[1].get<std::string>());
    } else {
      fail("{}[{}]: a merge is a string or a list of two", where, i);
    }
  }
  return merges;
}

// Puts added tokens among the pieces, which then have no holes.
void add_tokens(const json& document, const std::string& path, ByteLevelBase& base) {
  const std::string where = path + ": added_tokens";
  std::unordered_map<std::string, std::size_t> ids;
  for (std::size_t id = 0; id < base.pieces.size(); ++id) {
    if (!base.pieces[id].empty()) ids.emplace(base.pieces[id], id);
  }
  const auto found = document.find("added_tokens");
  if (found != document.end() && found->is_array()) {
    for (const json& token : *found) {
      const std::string content = string_field(token, "content", where);
      const auto id = static_cast<std::size_t>(integer_field(token, "id", 1 << 21, where));
      const auto known = ids.find(content);
      if (known != ids.end() && known->second != id) {
        fail("{}: {} has id {} here and {} in the vocabulary; the base contradicts itself", where,
             quote(content), id, known->second);
      }
      if (id >= base.pieces.size()) base.pieces.resize(id + 1);
      if (base.is_added.size() < base.pieces.size()) base.is_added.resize(base.pieces.size());
      if (!base.pieces[id].empty() && base.pieces[id] != content) {
        fail("{}: {} has the id {} of the piece {}; the base contradicts itself", where,
             quote(content), id, quote(base.pieces[id]));
      }
      base.pieces[id] = content;
      base.is_added[id] = true;
      ids.emplace(content, id);
    }
  }
  base.is_added.resize(base.pieces.size());
  const auto hole = std::find(base.pieces.begin(), base.pieces.end(), "");
  if (hole != base.pieces.end()) {
    const auto holes = std::count(base.pieces.begin(), base.pieces.end(), "");
    fail("{}: no piece has the id {} ({} such hole{}); a base to extend needs a piece for every id",
         path, hole - base.pieces.begin(), holes, holes == 1 ? "" : "s");
  }
}

}  // namespace

ByteLevelBase read_byte_level_base(json document, const std::string& path) {
  ByteLevelBase base;
  const auto node = [&](const char* key) {
    const auto found = document.find(key);
    return found == document.end() ? json() : *found;
  };
  const std::string where = path + ": model";
  json& model = document["model"];
  if (!model.is_object()) fail("{}: \"model\" is missing; this is no tokenizer.json", path);
  base.pre_tokenizer = PreTokenizer::from_json(node("pre_tokenizer"), path + ": pre_tokenizer");
  base.normalizer = make_normalizer(node("normalizer"), path + ": normalizer");
  if (model.value("type", model.contains("merges") ? "BPE" : "") != "BPE" ||
      !base.pre_tokenizer.byte_level()) {
    fail("{}: only byte-level BPE and SentencePiece tokenizers can be extended", path);
  }
  base.pieces = read_json_vocabulary(required_node(model, "vocab", where), where + ".vocab");
  Merges merges = read_merges(required_node(model, "merges", where), where + ".merges");
  base.merges = std::move(merges.list);
  base.merges_are_strings = merges.are_strings;
  const bool ignore_merges = bool_field(model, "ignore_merges", false, where);
  base.model = std::make_unique<BpeModel>(base.pieces, base.merges, ignore_merges, where);
  add_tokens(document, path, base);
  model.erase("vocab");
  model.erase("merges");
  base.document = std::move(document);
  return base;
}

ordered_json extended_document(const ByteLevelBase& base, const Extension& extension) {
  ordered_json document = ordered_json::parse(base.document.dump());
  ordered_json vocab = ordered_json::object();
  auto& list = vocab.get_ref<ordered_json::object_t&>();
  // Added tokens stand here too: loaders give an added token that is no piece the next free id,
  // which would now be another one.
  for (const std::string& piece : base.pieces) list.emplace_back(piece, list.size());
  for (const std::string& piece : extension.pieces) list.emplace_back(piece, list.size());
  ordered_json merges = ordered_json::array();
  const auto add = [&](const std::string& merge) {
    if (base.merges_are_strings) {
      merges.push_back(merge);
    } else {
      const std::size_t space = merge.find(' ');
      merges.push_back(ordered_json::array({merge.substr(0, space), merge.substr(space + 1)}));
    }
  };
  for (const std::string& merge : base.merges) add(merge);
  for (const std::string& merge : extension.merges) add(merge);
  document["model"]["vocab"] = std::move(vocab);
  document["model"]["merges"] = std::move(merges);
  return document;
}

}  // namespace tigerbot
