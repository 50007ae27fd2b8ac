#include "weights/tokenizer_files.h"

#include <fmt/format.h>

#include <array>
#include <limits>

#include "base/error.h"
#include "base/files.h"
#include "weights/hugging_face_folder.h"
#include "weights/model_files.h"

namespace tigerbot {
namespace {

constexpr std::array kTokenizerFiles = {"tokenizer.json", "tokenizer.model", "vocab.txt"};

bool has_tokenizer_files(const std::filesystem::path& folder) {
  for (const char* name : kTokenizerFiles)
    if (std::filesystem::exists(folder / name)) return true;
  return false;
}

}  // namespace

std::unique_ptr<Tokenizer> open_tokenizer(const std::filesystem::path& path) {
  if (std::filesystem::is_regular_file(path)) {
    if (path.extension() == ".json") return parse_tokenizer_json(read_file(path), path.string());
    if (path.extension() == ".model")
      return parse_sentencepiece_model(read_file(path), path.string());
  }
  if (std::filesystem::is_directory(path) && has_tokenizer_files(path)) {
    ModelConfig any;
    any.vocab_size = std::numeric_limits<std::int64_t>::max();
    return load_folder_tokenizer(path, any);
  }
  return open_model(path).load_tokenizer();
}

std::string tokenizer_stamp(const std::filesystem::path& path) {
  std::string stamp;
  const auto add = [&](const std::filesystem::path& file) {
    if (!std::filesystem::is_regular_file(file)) return;
    stamp += fmt::format("{} {} {}\n", file.filename().string(), std::filesystem::file_size(file),
                         std::filesystem::last_write_time(file).time_since_epoch().count());
  };
  add(path);
  if (!std::filesystem::is_directory(path)) return stamp;
  for (const char* name : kTokenizerFiles) add(path / name);
  add(path / "tokenizer_config.json");
  if (!has_tokenizer_files(path)) {
    for (const auto& entry : std::filesystem::directory_iterator(path))
      if (entry.path().extension() == ".gguf") add(entry.path());
  }
  return stamp;
}

}  // namespace tigerbot
