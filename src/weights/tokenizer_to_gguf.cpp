// Hugging Face's and SentencePiece's tokenizers as GGUF's metadata.

#include <unordered_map>

#include "base/error.h"
#include "base/files.h"
#include "base/logging.h"
#include "base/text.h"
#include "tokenizer/sentencepiece_model.h"
#include "weights/hugging_face_folder.h"
#include "weights/pre_tokenizer_names.h"
#include "weights/tokenizer_conversion.h"

namespace tigerbot {
namespace {

enum TokenType {
  kNormal = 1,
  kUnknown = 2,
  kControl = 3,
  kUserDefined = 4,
  kUnused = 5,
  kByte = 6
};

// Pieces by id; ids that nothing claims stay unused, so that the list is as long as the embedding.
class PieceList {
 public:
  PieceList(std::int64_t size, std::string path) : path_(std::move(path)) {
    for (std::int64_t id = 0; id < size; ++id) {
      gguf.tokens.push_back(fmt::format("[PAD{}]", id));
      gguf.token_types.push_back(kUnused);
    }
  }

  void set(std::int64_t id, const std::string& text, int type) {
    if (id < 0 || static_cast<std::size_t>(id) >= gguf.tokens.size()) {
      fail(
          "{}: the piece {} has id {} and the model's embedding {} rows; they do not belong "
          "together",
          path_, quote(text), id, gguf.tokens.size());
    }
    gguf.tokens[static_cast<std::size_t>(id)] = text;
    gguf.token_types[static_cast<std::size_t>(id)] = type;
  }

  GgufTokenizer gguf;

 private:
  std::string path_;
};

// What the files add to the pieces of the model itself.
void set_added_tokens(const Json& tokens, const std::string& path, PieceList& pieces) {
  if (!tokens.is_array()) return;
  for (const Json& token : tokens) {
    JsonReader reader(token, path, "added_tokens");
    const bool special = reader.get<bool>("special", false);
    const auto id = reader.get<std::int64_t>("id");
    const auto text = reader.get<std::string>("content");
    const auto at = static_cast<std::size_t>(id);
    // The unknown piece keeps its type, which SentencePiece needs.
    if (at < pieces.gguf.tokens.size() && pieces.gguf.token_types[at] == kUnknown) continue;
    pieces.set(id, text, special ? kControl : kUserDefined);
  }
}

void set_vocabulary(const Json& vocabulary, const std::string& path, PieceList& pieces) {
  if (!vocabulary.is_object()) fail("{}: model.vocab must be an object", path);
  for (const auto& [piece, id] : vocabulary.items()) {
    if (!id.is_number_integer()) fail("{}: the id of {} must be an integer", path, quote(piece));
    pieces.set(id.get<std::int64_t>(), piece, kNormal);
  }
}

std::vector<std::string> read_merges(const Json& merges, const std::string& path) {
  std::vector<std::string> list;
  for (const Json& merge : merges) {
    if (merge.is_string()) {
      list.push_back(merge.get<std::string>());
    } else if (merge.is_array() && merge.size() == 2 && merge[0].is_string() &&
               merge[1].is_string()) {
      list.push_back(merge[0].get<std::string>() + " " + merge[1].get<std::string>());
    } else {
      fail("{}: model.merges must hold pairs of pieces", path);
    }
  }
  return list;
}

// Whether the post-processor puts this token before (or after) a single text.
bool adds_token(const Json& json, const char* side, const std::string& text) {
  if (!json.is_object() || text.empty()) return false;
  if (json.contains("processors") && json["processors"].is_array()) {
    for (const Json& inner : json["processors"]) {
      if (adds_token(inner, side, text)) return true;
    }
    return false;
  }
  if (!json.contains("single") || !json["single"].is_array() || json["single"].empty())
    return false;
  const Json& list = json["single"];
  const Json& edge = std::string_view(side) == "first" ? list.front() : list.back();
  return edge.contains("SpecialToken") && edge["SpecialToken"].value("id", "") == text;
}

void set_roles(const std::filesystem::path& folder, const ModelConfig& config,
               const Json& tokenizer_config, GgufTokenizer& gguf) {
  std::unordered_map<std::string_view, TokenId> ids;
  for (std::size_t id = 0; id < gguf.tokens.size(); ++id) {
    ids.emplace(gguf.tokens[id], static_cast<TokenId>(id));
  }
  const auto role = [&](const char* name) -> std::optional<TokenId> {
    const auto found = ids.find(special_token_text(folder, tokenizer_config, name));
    if (found == ids.end()) return std::nullopt;
    return found->second;
  };
  gguf.bos_id = role("bos_token");
  gguf.eos_id = role("eos_token");
  gguf.unk_id = role("unk_token");
  gguf.pad_id = role("pad_token");
  if (!gguf.bos_id && config.bos_token_id) gguf.bos_id = static_cast<TokenId>(*config.bos_token_id);
  if (!gguf.eos_id && !config.eos_token_ids.empty()) {
    gguf.eos_id = static_cast<TokenId>(config.eos_token_ids.front());
  }
  if (gguf.model == "bert") {
    gguf.bos_id = role("cls_token");
    gguf.eos_id = role("sep_token");
  }
}

// True for unigram, which GGUF has as T5's. The programs that read that know no byte pieces: text
// that no other piece spells would come back as "unknown" from them.
bool check_kind(const SentencePieceModel& model, const std::string& path) {
  if (model.treat_whitespace_as_suffix) {
    fail("{}: its pieces have their space behind a word, which GGUF cannot say; train it anew",
         path);
  }
  if (model.type == SentencePieceModel::Type::kBpe) return false;
  if (model.type != SentencePieceModel::Type::kUnigram) {
    fail("{}: GGUF has SentencePiece's BPE and unigram models; this one is of words or characters",
         path);
  }
  if (model.byte_fallback) {
    fail(
        "{}: GGUF has unigram models without byte pieces alone, and this one has them; keep the "
        "model a Hugging Face directory, or train the tokenizer as sentencepiece-bpe or with "
        "--no-byte-fallback",
        path);
  }
  return true;
}

GgufTokenizer from_sentencepiece_model(const std::filesystem::path& file,
                                       const std::filesystem::path& folder,
                                       const ModelConfig& config, const Json& tokenizer_config) {
  const std::string path = file.string();
  const SentencePieceModel model = read_sentencepiece_model(read_file(file), path);
  const bool unigram = check_kind(model, path);
  PieceList pieces(config.vocab_size, path);
  pieces.gguf.scores.assign(pieces.gguf.tokens.size(), -10000.0f);
  for (std::size_t id = 0; id < model.pieces.size(); ++id) {
    const auto& piece = model.pieces[id];
    pieces.set(static_cast<std::int64_t>(id), piece.text, static_cast<int>(piece.type));
    pieces.gguf.scores[id] = piece.score;
  }
  if (tokenizer_config.contains("added_tokens_decoder") &&
      tokenizer_config["added_tokens_decoder"].is_object()) {
    Json added = Json::array();
    for (const auto& [id, token] : tokenizer_config["added_tokens_decoder"].items()) {
      Json with_id = token;
      with_id["id"] = std::strtoll(id.c_str(), nullptr, 10);
      added.push_back(std::move(with_id));
    }
    set_added_tokens(added, (folder / "tokenizer_config.json").string(), pieces);
  }
  GgufTokenizer& gguf = pieces.gguf;
  gguf.model = unigram ? "t5" : "llama";
  gguf.pre = "default";
  gguf.add_space_prefix = model.normalizer.add_dummy_prefix;
  gguf.remove_extra_whitespaces = model.normalizer.remove_extra_whitespaces;
  gguf.precompiled_charsmap = model.normalizer.precompiled_charsmap;
  if (!unigram && (*gguf.remove_extra_whitespaces || !gguf.precompiled_charsmap.empty())) {
    log_warning(
        "{}: its normalization rules are written into the GGUF file, and other programs do not "
        "apply them to BPE: there, text that they change gets other ids",
        path);
  }
  const auto flag = [&](const char* key, bool fallback) {
    return tokenizer_config.contains(key) && tokenizer_config[key].is_boolean()
               ? tokenizer_config[key].get<bool>()
               : fallback;
  };
  gguf.add_bos = flag("add_bos_token", true);
  gguf.add_eos = flag("add_eos_token", false);
  return gguf;
}

void describe_byte_level(const Json& json, const std::string& path, GgufTokenizer& gguf) {
  gguf.model = "gpt2";
  gguf.pre = detect_pre_tokenizer(json, path);
  gguf.merges = read_merges(json["model"].value("merges", Json::array()), path);
}

// SentencePiece's BPE as tokenizer.json has it. GGUF scores pieces, not merges: the rank of the
// first merge that makes a piece serves, since SentencePiece's merges stand in that order.
void describe_byte_fallback(const Json& json, const std::string& path, GgufTokenizer& gguf) {
  gguf.model = "llama";
  gguf.pre = "default";
  std::unordered_map<std::string, std::size_t> ids;
  for (std::size_t id = 0; id < gguf.tokens.size(); ++id) ids.emplace(gguf.tokens[id], id);
  gguf.scores.assign(gguf.tokens.size(), 0.0f);
  std::vector<bool> scored(gguf.tokens.size(), false);
  float rank = 0;
  for (std::string merge : read_merges(json["model"].value("merges", Json::array()), path)) {
    rank += 1;
    const std::size_t space = merge.find(' ');
    if (space == std::string::npos) fail("{}: model.merges must hold pairs of pieces", path);
    merge.erase(space, 1);
    const auto whole = ids.find(merge);
    if (whole == ids.end() || scored[whole->second]) continue;
    gguf.scores[whole->second] = -rank;
    scored[whole->second] = true;
  }
  for (std::size_t id = 0; id < gguf.tokens.size(); ++id) {
    const std::string& text = gguf.tokens[id];
    if (gguf.token_types[id] == kNormal && text.size() == 6 && text.starts_with("<0x") &&
        text.ends_with('>')) {
      gguf.token_types[id] = kByte;
    }
  }
  if (json["model"].contains("unk_token") && json["model"]["unk_token"].is_string()) {
    const auto unk = ids.find(json["model"]["unk_token"].get<std::string>());
    if (unk != ids.end()) gguf.token_types[unk->second] = kUnknown;
  }
  const std::string normalizer =
      json.contains("normalizer") ? json["normalizer"].dump() : std::string("null");
  const Json pre = json.contains("pre_tokenizer") ? json["pre_tokenizer"] : Json();
  gguf.add_space_prefix = normalizer.find("\"Prepend\"") != std::string::npos ||
                          (pre.is_object() && pre.value("type", "") == "Metaspace" &&
                           pre.value("prepend_scheme", "always") != "never");
}

// llama.cpp marks the beginning of a word where WordPiece marks its continuation.
void describe_wordpiece(const Json& json, GgufTokenizer& gguf) {
  gguf.model = "bert";
  gguf.pre = "default";
  if (json.contains("normalizer") && json["normalizer"].is_object() &&
      json["normalizer"].contains("lowercase")) {
    gguf.lowercase = json["normalizer"]["lowercase"] == true;
  }
  for (std::size_t id = 0; id < gguf.tokens.size(); ++id) {
    std::string& text = gguf.tokens[id];
    if (gguf.token_types[id] != kNormal) continue;
    text = text.starts_with("##") ? text.substr(2) : "\xE2\x96\x81" + text;
  }
}

GgufTokenizer from_tokenizer_json(const Json& json, const std::string& path,
                                  const std::filesystem::path& folder, const ModelConfig& config,
                                  const Json& tokenizer_config) {
  if (!json.is_object() || !json.contains("model") || !json["model"].is_object() ||
      !json["model"].contains("vocab")) {
    fail("{}: \"model\" with \"vocab\" is missing; this is no tokenizer.json", path);
  }
  const Json& model = json["model"];
  const std::string type = model.value("type", model.contains("merges") ? "BPE" : "");
  if (type != "BPE" && type != "WordPiece") {
    fail(
        "{}: a tokenizer.json of kind {} cannot be written to GGUF; BPE and WordPiece can, and a "
        "unigram model without byte pieces as tokenizer.model",
        path, quote(type));
  }
  PieceList pieces(config.vocab_size, path);
  set_vocabulary(model["vocab"], path, pieces);
  if (json.contains("added_tokens")) set_added_tokens(json["added_tokens"], path, pieces);
  GgufTokenizer& gguf = pieces.gguf;
  if (type == "WordPiece") {
    describe_wordpiece(json, gguf);
  } else if (model.contains("byte_fallback") && model["byte_fallback"] == true) {
    describe_byte_fallback(json, path, gguf);
  } else {
    describe_byte_level(json, path, gguf);
  }
  const Json processor = json.contains("post_processor") ? json["post_processor"] : Json();
  const bool bert = type == "WordPiece";
  gguf.add_bos =
      adds_token(processor, "first",
                 special_token_text(folder, tokenizer_config, bert ? "cls_token" : "bos_token"));
  gguf.add_eos =
      adds_token(processor, "last",
                 special_token_text(folder, tokenizer_config, bert ? "sep_token" : "eos_token"));
  return gguf;
}

}  // namespace

GgufTokenizer gguf_tokenizer_from_folder(const std::filesystem::path& folder,
                                         const ModelConfig& config) {
  const Json tokenizer_config = read_tokenizer_config(folder);
  GgufTokenizer gguf;
  if (const auto file = folder / "tokenizer.model"; std::filesystem::exists(file)) {
    gguf = from_sentencepiece_model(file, folder, config, tokenizer_config);
  } else if (const auto file = folder / "tokenizer.json"; std::filesystem::exists(file)) {
    gguf =
        from_tokenizer_json(read_json_file(file), file.string(), folder, config, tokenizer_config);
  } else {
    fail("{}: neither tokenizer.json nor tokenizer.model is here; GGUF needs a tokenizer",
         folder.string());
  }
  set_roles(folder, config, tokenizer_config, gguf);
  return gguf;
}

void add_gguf_tokenizer(GgufWriter& writer, const GgufTokenizer& tokenizer) {
  writer.add("tokenizer.ggml.model", tokenizer.model);
  writer.add("tokenizer.ggml.pre", tokenizer.pre);
  writer.add_strings("tokenizer.ggml.tokens", tokenizer.tokens);
  if (!tokenizer.scores.empty()) writer.add_float32s("tokenizer.ggml.scores", tokenizer.scores);
  writer.add_int32s("tokenizer.ggml.token_type", tokenizer.token_types);
  if (!tokenizer.merges.empty()) writer.add_strings("tokenizer.ggml.merges", tokenizer.merges);
  const auto id = [&](const char* name, const std::optional<TokenId>& value) {
    if (value) writer.add_uint32(fmt::format("tokenizer.ggml.{}_token_id", name), *value);
  };
  id("bos", tokenizer.bos_id);
  id("eos", tokenizer.eos_id);
  id("unknown", tokenizer.unk_id);
  id("padding", tokenizer.pad_id);
  if (tokenizer.model == "bert") {
    id("cls", tokenizer.bos_id);
    id("seperator", tokenizer.eos_id);  // the format's own spelling
  }
  const auto flag = [&](const char* name, const std::optional<bool>& value) {
    if (value) writer.add_bool(fmt::format("tokenizer.ggml.{}", name), *value);
  };
  flag("add_bos_token", tokenizer.add_bos);
  flag("add_eos_token", tokenizer.add_eos);
  flag("add_space_prefix", tokenizer.add_space_prefix);
  flag("remove_extra_whitespaces", tokenizer.remove_extra_whitespaces);
  flag("normalizer.lowercase", tokenizer.lowercase);
  if (!tokenizer.precompiled_charsmap.empty()) {
    const std::string& rules = tokenizer.precompiled_charsmap;
    GgufArray bytes;
    bytes.size = rules.size();
    bytes.numbers = std::as_bytes(std::span(rules));
    writer.add_value("tokenizer.ggml.precompiled_charsmap",
                     {.type = GgufValueType::kArray, .value = std::move(bytes)});
  }
}

}  // namespace tigerbot
