#include "weights/inspect.h"

#include <algorithm>
#include <map>

#include "base/error.h"
#include "base/memory_map.h"
#include "base/text.h"
#include "base/utf8.h"
#include "weights/gguf_config.h"
#include "weights/model_files.h"
#include "weights/safetensors_header.h"

namespace tigerbot {
namespace {

struct TypeTotal {
  std::int64_t tensors = 0;
  std::int64_t parameters = 0;
  std::uint64_t bytes = 0;
};

class TensorList {
 public:
  void add(std::string_view name, std::string_view type, const std::vector<std::int64_t>& shape,
           std::uint64_t bytes) {
    const std::int64_t count = element_count(shape);
    TypeTotal& total = totals_[std::string(type)];
    ++total.tensors;
    total.parameters += count;
    total.bytes += bytes;
    parameters_ += count;
    bytes_ += bytes;
    list_.push_back(
        {{"name", replace_invalid_utf8(name)}, {"type", type}, {"shape", shape}, {"bytes", bytes}});
  }

  void write(Json& json) const {
    json["parameters"] = parameters_;
    json["weight_bytes"] = bytes_;
    Json types = Json::object();
    for (const auto& [name, total] : totals_) {
      types[name] = {
          {"tensors", total.tensors}, {"parameters", total.parameters}, {"bytes", total.bytes}};
    }
    json["types"] = types;
    json["tensors"] = list_;
  }

 private:
  std::map<std::string, TypeTotal> totals_;
  std::int64_t parameters_ = 0;
  std::uint64_t bytes_ = 0;
  Json list_ = Json::array();
};

Json inspect_safetensors(const std::filesystem::path& path) {
  const MemoryMap map(path);
  const auto header = parse_safetensors_header(map.bytes(), path.string());
  Json json = {{"path", path.string()}, {"format", "safetensors"}};
  if (!header.metadata.empty()) json["metadata"] = header.metadata;
  TensorList tensors;
  for (const auto& entry : header.entries) {
    tensors.add(entry.name, safetensors_type_name(entry.type), entry.shape, entry.bytes);
  }
  tensors.write(json);
  return json;
}

Json value_json(const GgufValue& value) {
  return std::visit(
      [](const auto& held) -> Json {
        using T = std::decay_t<decltype(held)>;
        if constexpr (std::is_same_v<T, std::string_view>) {
          return replace_invalid_utf8(held);
        } else if constexpr (std::is_same_v<T, GgufArray>) {
          return {{"array_of", gguf_value_type_name(held.type)}, {"size", held.size}};
        } else {
          return held;
        }
      },
      value.value);
}

// Also of an architecture that we do not run, and of types that we do not read.
Json inspect_gguf(const std::filesystem::path& path) {
  const GgufFile file(path);
  Json json = {{"path", path.string()}, {"format", fmt::format("GGUF v{}", file.header.version)}};
  Json metadata = Json::object();
  for (const auto& [key, value] : file.header.metadata) {
    if (key != "tokenizer.chat_template") metadata[replace_invalid_utf8(key)] = value_json(value);
  }
  json["metadata"] = metadata;
  TensorList tensors;
  for (const auto& tensor : file.header.tensors) {
    tensors.add(tensor.name, tensor.type->name, tensor.shape, tensor.bytes);
  }
  tensors.write(json);
  return json;
}

Json config_json(const ModelConfig& config) { return Json::parse(format_model_config(config)); }

void add_model(const ModelFiles& files, Json& json) {
  json["architecture"] = files.config.model_type;
  json["config"] = config_json(files.config);
  json["eos_token_ids"] = files.eos_token_ids;
  json["chat_template"] =
      files.chat_template.empty() ? Json() : Json(replace_invalid_utf8(files.chat_template));
  if (files.sentence) {
    json["sentence_embedding"] = {{"pooling", files.sentence->pooling},
                                  {"normalize", files.sentence->normalize},
                                  {"max_tokens", files.sentence->max_tokens}};
  }
  try {
    const auto tokenizer = files.load_tokenizer();
    json["tokenizer"] = {{"kind", tokenizer->kind}, {"pieces", tokenizer->size()}};
  } catch (const Error& error) {
    json["tokenizer"] = {{"error", error.what()}};
  }
}

// Digits in groups, and the usual short form: "134,515,008 (134.5 M)".
std::string format_parameters(std::int64_t count) {
  const auto value = static_cast<double>(count);
  std::string text = format_count(static_cast<std::uint64_t>(count));
  if (value >= 1e9) return text + fmt::format(" ({:.2f} B)", value / 1e9);
  if (value >= 1e6) return text + fmt::format(" ({:.1f} M)", value / 1e6);
  return text;
}

std::string first_lines(const std::string& text) {
  std::string shown;
  int lines = 0;
  for (const auto line : split(text, '\n')) {
    if (++lines > 3) {
      shown += "    ...\n";
      break;
    }
    const std::string whole(line.substr(0, complete_utf8_prefix(line.substr(0, 100))));
    shown += fmt::format("    {}{}\n", whole, line.size() > whole.size() ? "..." : "");
  }
  return shown;
}

}  // namespace

Json inspect_path(const std::filesystem::path& path) {
  if (std::filesystem::is_regular_file(path) && path.extension() == ".safetensors") {
    return inspect_safetensors(path);
  }
  if (std::filesystem::is_regular_file(path) && path.extension() == ".gguf") {
    Json json = inspect_gguf(path);
    try {
      add_model(open_model(path), json);
    } catch (const Error& error) {
      // The header is whole; that the model does not run here is one more fact about it.
      json["architecture"] = json["metadata"].value("general.architecture", Json());
      json["cannot_run"] = error.what();
    }
    return json;
  }
  const ModelFiles files = open_model(path);
  if (files.gguf) return inspect_path(files.path);
  Json json = {{"path", path.string()}, {"format", files.format}};
  TensorList tensors;
  for (const auto& tensor : files.tensors->tensors()) {
    tensors.add(tensor.name, tensor.type, tensor.shape, tensor.bytes);
  }
  tensors.write(json);
  add_model(files, json);
  return json;
}

std::string format_inspection(const Json& inspection, bool tensors) {
  std::string text;
  const auto line = [&](std::string_view name, const std::string& value) {
    text += fmt::format("{:<14}{}\n", name, value);
  };
  line("path", inspection["path"]);
  line("format", inspection["format"]);
  if (inspection.contains("architecture") && inspection["architecture"].is_string()) {
    line("architecture", inspection["architecture"]);
  }
  if (inspection.contains("cannot_run")) line("does not run", inspection["cannot_run"]);
  if (inspection.contains("config")) {
    const Json& config = inspection["config"];
    const auto number = [&](const char* key, const char* bloom_key) {
      return config.value(key, config.value(bloom_key, std::int64_t{0}));
    };
    const std::int64_t heads = number("num_attention_heads", "n_head");
    line("shape",
         fmt::format("{} layers, width {}, {} heads ({} KV), vocabulary {}",
                     number("num_hidden_layers", "n_layer"), number("hidden_size", ""), heads,
                     config.value("num_key_value_heads", heads), number("vocab_size", "")));
    line("context", fmt::format("{} tokens", number("max_position_embeddings", "seq_length")));
  }
  line("parameters", format_parameters(inspection["parameters"]));
  line("weights", format_bytes(inspection["weight_bytes"]));
  for (const auto& [type, total] : inspection["types"].items()) {
    line("", fmt::format("{:<8} {:>5} tensors  {:>15} parameters  {:>10}", type,
                         total["tensors"].get<std::int64_t>(),
                         format_count(total["parameters"].get<std::uint64_t>()),
                         format_bytes(total["bytes"].get<std::uint64_t>())));
  }
  if (inspection.contains("tokenizer")) {
    const Json& tokenizer = inspection["tokenizer"];
    line("tokenizer", tokenizer.contains("error")
                          ? tokenizer["error"].get<std::string>()
                          : fmt::format("{}, {} pieces", tokenizer["kind"].get<std::string>(),
                                        tokenizer["pieces"].get<std::int64_t>()));
  }
  if (inspection.contains("sentence_embedding")) {
    const Json& sentence = inspection["sentence_embedding"];
    line("sentences", fmt::format("{} pooling{}", sentence["pooling"].get<std::string>(),
                                  sentence["normalize"].get<bool>() ? ", normalized" : ""));
  }
  if (inspection.contains("chat_template")) {
    const bool none = inspection["chat_template"].is_null();
    line("template", none ? "none" : "");
    if (!none) text += first_lines(inspection["chat_template"]);
  }
  if (!tensors) return text;
  for (const Json& tensor : inspection["tensors"]) {
    text += fmt::format("{:<60} {:<6} {}\n", tensor["name"].get<std::string>(),
                        tensor["type"].get<std::string>(),
                        shape_text(tensor["shape"].get<std::vector<std::int64_t>>()));
  }
  return text;
}

}  // namespace tigerbot
