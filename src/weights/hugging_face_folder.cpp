#include "weights/hugging_face_folder.h"

#include <algorithm>

#include "base/error.h"
#include "base/files.h"
#include "base/logging.h"
#include "base/text.h"
#include "weights/safetensors.h"
#include "weights/wordpiece_vocabulary.h"

namespace tigerbot {
namespace {

constexpr std::uint64_t kMaxConfigBytes = 64 << 20;

Json read_optional_json(const std::filesystem::path& file) {
  if (!std::filesystem::exists(file)) return Json::object();
  Json json = read_json_file(file, {}, kMaxConfigBytes);
  if (!json.is_object()) fail("{}: must hold a JSON object", file.string());
  return json;
}

void read_generation_config(const std::filesystem::path& folder, ModelFiles& files) {
  const auto path = folder / "generation_config.json";
  const Json json = read_optional_json(path);
  JsonReader reader(json, path.string());
  GenerationDefaults& defaults = files.generation;
  defaults.do_sample = reader.find<bool>("do_sample");
  defaults.temperature = reader.find<double>("temperature");
  defaults.top_k = reader.find<std::int64_t>("top_k");
  defaults.top_p = reader.find<double>("top_p");
  defaults.min_p = reader.find<double>("min_p");
  defaults.repetition_penalty = reader.find<double>("repetition_penalty");
  defaults.max_new_tokens = reader.find<std::int64_t>("max_new_tokens");
  if (!reader.has("eos_token_id")) return;
  if (json["eos_token_id"].is_array()) {
    files.eos_token_ids = reader.get<std::vector<std::int64_t>>("eos_token_id");
  } else {
    files.eos_token_ids = {reader.get<std::int64_t>("eos_token_id")};
  }
}

std::string read_pooling(const std::filesystem::path& file) {
  const Json json = read_json_file(file, {}, kMaxConfigBytes);
  JsonReader reader(json, file.string());
  for (const char* kind : {"mean", "cls", "max"}) {
    const std::string flag =
        fmt::format("pooling_mode_{}", kind == std::string_view("cls")   ? "cls_token"
                                       : kind == std::string_view("max") ? "max_tokens"
                                                                         : "mean_tokens");
    if (reader.get<bool>(flag, false)) return kind;
  }
  if (const auto mode = reader.find<std::string>("pooling_mode")) {
    if (*mode == "mean" || *mode == "cls" || *mode == "max") return *mode;
  }
  fail("{}: none of the poolings mean, cls and max is chosen; others do not run here",
       file.string());
}

// What sentence-transformers wrote beside the encoder.
std::optional<SentenceEmbedding> read_sentence_modules(const std::filesystem::path& folder) {
  const auto path = folder / "modules.json";
  if (!std::filesystem::exists(path)) return std::nullopt;
  const Json modules = read_json_file(path, {}, kMaxConfigBytes);
  if (!modules.is_array()) fail("{}: must hold a list of modules", path.string());
  SentenceEmbedding sentence;
  for (const Json& module : modules) {
    JsonReader reader(module, path.string());
    const auto type = reader.get<std::string>("type");
    const std::string kind = type.substr(type.rfind('.') + 1);
    if (kind == "Pooling") {
      const auto inside = std::filesystem::path(reader.get<std::string>("path")).filename();
      sentence.pooling = read_pooling(folder / inside / "config.json");
    } else if (kind == "Normalize") {
      sentence.normalize = true;
    } else if (kind != "Transformer") {
      fail("{}: the module {} does not run here; Transformer, Pooling and Normalize do",
           path.string(), quote(type));
    }
  }
  const Json settings = read_optional_json(folder / "sentence_bert_config.json");
  JsonReader reader(settings, (folder / "sentence_bert_config.json").string());
  sentence.max_tokens = reader.get<std::int64_t>("max_seq_length", 0);
  return sentence;
}

}  // namespace

Json read_tokenizer_config(const std::filesystem::path& folder) {
  return read_optional_json(folder / "tokenizer_config.json");
}

std::string special_token_text(const std::filesystem::path& folder, const Json& tokenizer_config,
                               const std::string& role) {
  const auto text_of = [](const Json& value) -> std::string {
    if (value.is_string()) return value.get<std::string>();
    if (value.is_object() && value.contains("content") && value["content"].is_string()) {
      return value["content"].get<std::string>();
    }
    return "";
  };
  if (tokenizer_config.contains(role)) {
    if (auto text = text_of(tokenizer_config[role]); !text.empty()) return text;
  }
  const Json map = read_optional_json(folder / "special_tokens_map.json");
  return map.contains(role) ? text_of(map[role]) : "";
}

std::string read_chat_template(const std::filesystem::path& folder, const Json& tokenizer_config) {
  if (const auto file = folder / "chat_template.jinja"; std::filesystem::exists(file)) {
    return read_file(file, kMaxConfigBytes);
  }
  const auto from = [&](const Json& json, const std::string& source) -> std::string {
    if (!json.contains("chat_template") || json["chat_template"].is_null()) return "";
    const Json& value = json["chat_template"];
    if (value.is_string()) return value.get<std::string>();
    if (!value.is_array()) fail("{}: chat_template must be a string or a list", source);
    std::string first;
    for (const Json& entry : value) {
      JsonReader reader(entry, source, "chat_template");
      const auto name = reader.get<std::string>("name");
      const auto text = reader.get<std::string>("template");
      if (name == "default") return text;
      if (first.empty()) first = text;
    }
    return first;
  };
  const auto file = folder / "chat_template.json";
  std::string text = from(read_optional_json(file), file.string());
  if (text.empty()) text = from(tokenizer_config, (folder / "tokenizer_config.json").string());
  return text;
}

std::unique_ptr<Tokenizer> load_folder_tokenizer(const std::filesystem::path& folder,
                                                 const ModelConfig& config) {
  const Json tokenizer_config = read_tokenizer_config(folder);
  std::unique_ptr<Tokenizer> tokenizer;
  if (const auto file = folder / "tokenizer.json"; std::filesystem::exists(file)) {
    tokenizer = parse_tokenizer_json(read_file(file), file.string());
  } else if (const auto file = folder / "tokenizer.model"; std::filesystem::exists(file)) {
    tokenizer = parse_sentencepiece_model(read_file(file), file.string());
  } else if (const auto file = folder / "vocab.txt"; std::filesystem::exists(file)) {
    tokenizer = parse_tokenizer_json(
        wordpiece_tokenizer_json(read_file(file), file.string(), tokenizer_config), file.string());
  } else {
    fail("{}: no tokenizer is here; tokenizer.json, tokenizer.model or vocab.txt is needed",
         folder.string());
  }
  const auto role = [&](const char* name, std::optional<TokenId>& id) {
    const std::string text = special_token_text(folder, tokenizer_config, name);
    if (!text.empty()) {
      if (const auto found = tokenizer->id(text)) id = *found;
    }
  };
  role("bos_token", tokenizer->bos_id);
  role("eos_token", tokenizer->eos_id);
  role("pad_token", tokenizer->pad_id);
  role("unk_token", tokenizer->unk_id);
  // Some published tokenizers have a padding token that the model was never given.
  if (tokenizer->size() > config.vocab_size) {
    log_warning("{}: the tokenizer has {} pieces and the model an embedding of {}", folder.string(),
                tokenizer->size(), config.vocab_size);
  }
  return tokenizer;
}

ModelFiles open_hugging_face_folder(const std::filesystem::path& folder) {
  ModelFiles files;
  files.path = folder;
  files.format = "Hugging Face directory";
  const auto config = folder / "config.json";
  files.config = parse_model_config(read_file(config, kMaxConfigBytes), config.string());
  TensorSet tensors = open_safetensors_folder(folder);
  files.gptq = read_gptq_config(folder);
  if (files.gptq) {
    files.format = "Hugging Face directory, GPTQ";
    tensors = gather_gptq_layers(tensors, *files.gptq, folder.string());
  }
  files.tensors = std::make_shared<const TensorSet>(std::move(tensors));
  files.eos_token_ids = files.config.eos_token_ids;
  read_generation_config(folder, files);
  const Json tokenizer_config = read_tokenizer_config(folder);
  files.chat_template = read_chat_template(folder, tokenizer_config);
  files.bos_token = special_token_text(folder, tokenizer_config, "bos_token");
  files.eos_token = special_token_text(folder, tokenizer_config, "eos_token");
  files.pad_token = special_token_text(folder, tokenizer_config, "pad_token");
  files.unk_token = special_token_text(folder, tokenizer_config, "unk_token");
  files.sentence = read_sentence_modules(folder);
  return files;
}

}  // namespace tigerbot
