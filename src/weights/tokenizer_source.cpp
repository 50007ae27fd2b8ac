#include "weights/tokenizer_source.h"

#include <utility>

#include "base/error.h"
#include "base/files.h"
#include "base/text.h"
#include "weights/hub/models.h"
#include "weights/hugging_face_folder.h"
#include "weights/model_files.h"
#include "weights/tokenizer_conversion.h"

namespace tigerbot {
namespace {

namespace fs = std::filesystem;

constexpr const char* kCompanions[] = {"tokenizer_config.json", "special_tokens_map.json",
                                       "chat_template.jinja", "chat_template.json"};

bool holds_tokenizer(const fs::path& folder) {
  return fs::exists(folder / "tokenizer.json") || fs::exists(folder / "tokenizer.model") ||
         fs::exists(folder / "vocab.txt");
}

}  // namespace

TokenizerFiles read_tokenizer_files(const std::string& path_or_name) {
  TokenizerFiles files;
  files.path = resolve_model(path_or_name);
  const fs::path& path = files.path;
  if (fs::is_directory(path) && holds_tokenizer(path)) {
    if (fs::exists(path / "tokenizer.json")) {
      files.tokenizer_json = read_file(path / "tokenizer.json");
    }
    if (fs::exists(path / "tokenizer.model")) {
      files.sentencepiece = read_file(path / "tokenizer.model");
    }
    for (const char* name : kCompanions) {
      if (fs::exists(path / name)) files.companions[name] = read_file(path / name);
    }
    return files;
  }
  const std::string extension = path.extension().string();
  if (!fs::is_directory(path) && extension == ".json") {
    files.tokenizer_json = read_file(path);
  } else if (!fs::is_directory(path) && extension == ".model") {
    files.sentencepiece = read_file(path);
  } else {
    const ModelFiles model = open_model(path);
    if (!model.gguf) fail("{}: no tokenizer is here", path.string());
    const GgufTokenizer gguf = read_gguf_tokenizer(*model.gguf);
    files.tokenizer_json = tokenizer_json_from_gguf(gguf, path.string()).dump();
    files.companions["tokenizer_config.json"] = gguf_tokenizer_config(model, gguf).dump(2) + "\n";
  }
  return files;
}

std::optional<nlohmann::json> tokenizer_json_from_sentencepiece(const SentencePieceModel& model,
                                                                bool add_bos, bool add_eos,
                                                                const std::string& path) {
  if (!model.byte_fallback || !model.normalizer.precompiled_charsmap.empty() ||
      model.normalizer.remove_extra_whitespaces || !model.normalizer.escape_whitespaces ||
      model.treat_whitespace_as_suffix) {
    return std::nullopt;
  }
  GgufTokenizer gguf;
  gguf.model = "llama";
  gguf.add_bos = add_bos;
  gguf.add_eos = add_eos;
  gguf.add_space_prefix = model.normalizer.add_dummy_prefix;
  for (std::size_t id = 0; id < model.pieces.size(); ++id) {
    const SentencePieceModel::Piece& piece = model.pieces[id];
    gguf.tokens.push_back(piece.text);
    gguf.scores.push_back(piece.score);
    gguf.token_types.push_back(static_cast<std::int32_t>(piece.type));
    if (piece.text == model.bos_piece) gguf.bos_id = static_cast<TokenId>(id);
    if (piece.text == model.eos_piece) gguf.eos_id = static_cast<TokenId>(id);
  }
  nlohmann::json document = tokenizer_json_from_gguf(gguf, path);
  if (model.type == SentencePieceModel::Type::kUnigram) {
    nlohmann::json vocab = nlohmann::json::array();
    std::size_t unk = 0;
    for (std::size_t id = 0; id < model.pieces.size(); ++id) {
      const SentencePieceModel::Piece& piece = model.pieces[id];
      vocab.push_back({piece.text, piece.score});
      if (piece.type == SentencePieceModel::PieceType::kUnknown) unk = id;
    }
    document["model"] = {
        {"type", "Unigram"}, {"unk_id", unk}, {"vocab", std::move(vocab)}, {"byte_fallback", true}};
  } else if (model.type != SentencePieceModel::Type::kBpe) {
    return std::nullopt;
  }
  return document;
}

}  // namespace tigerbot
