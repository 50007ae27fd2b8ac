#include "weights/model_files.h"

#include <algorithm>

#include "base/error.h"
#include "base/utf8.h"
#include "weights/gguf_config.h"
#include "weights/hugging_face_folder.h"

namespace tigerbot {
namespace {

std::string token_text(const GgufFile& file, const char* role) {
  const auto id = file.header.find_integer(fmt::format("tokenizer.ggml.{}_token_id", role));
  const GgufArray* tokens = file.header.find_array("tokenizer.ggml.tokens");
  if (!id || !tokens || *id < 0 || static_cast<std::uint64_t>(*id) >= tokens->strings.size()) {
    return "";
  }
  return std::string(tokens->strings[static_cast<std::size_t>(*id)]);
}

// Encoders' pooling, as llama.cpp numbers it.
std::optional<SentenceEmbedding> read_pooling(const GgufFile& file, const ModelConfig& config) {
  if (config.family != ModelConfig::Family::kBert) return std::nullopt;
  SentenceEmbedding sentence;
  const auto type = file.header.find_integer("bert.pooling_type").value_or(1);
  if (type != 1 && type != 2) {
    fail("{}: pooling of type {}; mean (1) and cls (2) run here", file.header.path, type);
  }
  sentence.pooling = type == 1 ? "mean" : "cls";
  sentence.normalize = true;
  return sentence;
}

ModelFiles open_gguf(const std::filesystem::path& path) {
  ModelFiles files;
  files.path = path;
  auto file = std::make_shared<const GgufFile>(path);
  files.gguf = file;
  files.format = fmt::format("GGUF v{}", file->header.version);
  files.config = read_gguf_config(*file);
  files.tensors = std::make_shared<const TensorSet>(open_gguf_tensors(file, files.config));
  files.eos_token_ids = files.config.eos_token_ids;
  files.chat_template = file->header.find_string("tokenizer.chat_template").value_or("");
  if (!is_valid_utf8(files.chat_template)) {
    fail("{}: tokenizer.chat_template is not UTF-8 text; the file is damaged", path.string());
  }
  files.bos_token = token_text(*file, "bos");
  files.eos_token = token_text(*file, "eos");
  files.pad_token = token_text(*file, "padding");
  files.unk_token = token_text(*file, "unknown");
  files.sentence = read_pooling(*file, files.config);
  return files;
}

std::vector<std::filesystem::path> gguf_files_in(const std::filesystem::path& folder) {
  std::vector<std::filesystem::path> found;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    if (entry.path().extension() == ".gguf") found.push_back(entry.path());
  }
  std::ranges::sort(found);
  return found;
}

}  // namespace

GgufTokenizer read_gguf_tokenizer(const GgufFile& file) {
  const GgufHeader& header = file.header;
  GgufTokenizer tokenizer;
  tokenizer.model = header.get_string("tokenizer.ggml.model");
  tokenizer.pre = header.find_string("tokenizer.ggml.pre").value_or("");
  const auto list = [&](const char* key, bool strings) -> const GgufArray* {
    const GgufArray* array = header.find_array(key);
    if (!array) return nullptr;
    const bool is_strings = array->type == GgufValueType::kString;
    if (is_strings != strings || array->type == GgufValueType::kArray) {
      fail("{}: the metadata value {} must be a list of {}", header.path, key,
           strings ? "strings" : "numbers");
    }
    return array;
  };
  const GgufArray* tokens = list("tokenizer.ggml.tokens", true);
  if (!tokens)
    fail("{}: the metadata lack tokenizer.ggml.tokens; no tokenizer is here", header.path);
  tokenizer.tokens.assign(tokens->strings.begin(), tokens->strings.end());
  if (const GgufArray* merges = list("tokenizer.ggml.merges", true)) {
    tokenizer.merges.assign(merges->strings.begin(), merges->strings.end());
  }
  const auto sized = [&](const char* key) -> const GgufArray* {
    const GgufArray* array = list(key, false);
    if (array && array->size != tokens->size) {
      fail("{}: {} has {} values for {} tokens; the file is damaged", header.path, key, array->size,
           tokens->size);
    }
    return array;
  };
  if (const GgufArray* scores = sized("tokenizer.ggml.scores")) {
    for (std::uint64_t i = 0; i < scores->size; ++i) {
      tokenizer.scores.push_back(static_cast<float>(scores->number(i)));
    }
  }
  if (const GgufArray* types = sized("tokenizer.ggml.token_type")) {
    for (std::uint64_t i = 0; i < types->size; ++i) {
      tokenizer.token_types.push_back(static_cast<std::int32_t>(types->number(i)));
    }
  }
  const auto id = [&](const char* role) -> std::optional<TokenId> {
    const auto value = header.find_integer(fmt::format("tokenizer.ggml.{}_token_id", role));
    // Some converters write 0xFFFFFFFF for "none".
    if (!value || *value < 0 || static_cast<std::uint64_t>(*value) >= tokens->size) {
      return std::nullopt;
    }
    return static_cast<TokenId>(*value);
  };
  tokenizer.bos_id = id("bos");
  tokenizer.eos_id = id("eos");
  tokenizer.unk_id = id("unknown");
  tokenizer.pad_id = id("padding");
  tokenizer.add_bos = header.find_bool("tokenizer.ggml.add_bos_token");
  tokenizer.add_eos = header.find_bool("tokenizer.ggml.add_eos_token");
  tokenizer.add_space_prefix = header.find_bool("tokenizer.ggml.add_space_prefix");
  tokenizer.remove_extra_whitespaces = header.find_bool("tokenizer.ggml.remove_extra_whitespaces");
  tokenizer.lowercase = header.find_bool("tokenizer.ggml.normalizer.lowercase");
  if (const GgufArray* rules = list("tokenizer.ggml.precompiled_charsmap", false)) {
    tokenizer.precompiled_charsmap.assign(reinterpret_cast<const char*>(rules->numbers.data()),
                                          rules->numbers.size());
  }
  return tokenizer;
}

TensorSource ModelFiles::source(at::ScalarType quantized_type) const {
  return [tensors = tensors, quantized_type, where = path.string()](
             const std::string& name, const std::vector<std::int64_t>& shape) {
    return tensors->get(name, shape, quantized_type, where);
  };
}

QuantizedSource ModelFiles::quantized_source() const {
  return [tensors = tensors](const std::string& name, const std::vector<std::int64_t>& shape) {
    const StoredTensor* tensor = tensors->find(name);
    if (!tensor || !tensor->load_quantized) return ops::QuantizedWeight();
    if (tensor->shape != shape) {
      fail("{}: tensor \"{}\" has shape {}; its configuration asks for {}", tensor->file, name,
           shape_text(tensor->shape), shape_text(shape));
    }
    return tensor->load_quantized();
  };
}

std::unique_ptr<Tokenizer> ModelFiles::load_tokenizer() const {
  if (gguf) return make_gguf_tokenizer(read_gguf_tokenizer(*gguf), gguf->header.path);
  return load_folder_tokenizer(path, config);
}

ModelFiles open_model(const std::filesystem::path& path) {
  std::error_code error;
  if (!std::filesystem::exists(path, error)) {
    fail(
        "{}: no such model; give a Hugging Face directory, a .gguf file, or a name that "
        "\"tigerbot pull\" knows",
        path.string());
  }
  if (!std::filesystem::is_directory(path)) {
    if (path.extension() == ".gguf") return open_gguf(path);
    fail("{}: is neither a directory nor a .gguf file; give the directory that holds config.json",
         path.string());
  }
  if (std::filesystem::exists(path / "config.json")) return open_hugging_face_folder(path);
  const auto found = gguf_files_in(path);
  if (found.size() == 1) return open_gguf(found.front());
  if (found.empty()) {
    fail("{}: holds neither config.json nor a .gguf file; is it the right directory?",
         path.string());
  }
  fail("{}: holds {} .gguf files; give one of them, such as {}", path.string(), found.size(),
       found.front().filename().string());
}

}  // namespace tigerbot
