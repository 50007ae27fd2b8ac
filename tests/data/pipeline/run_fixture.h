#pragma once

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
#include <zstd.h>

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/files.h"
#include "base/json.h"
#include "base/random.h"
#include "data/pipeline/build.h"

namespace tigerbot::data::testing {

/// A folder of a run's own, in memory where there is such a place: runs flush every file.
class FastFolder {
 public:
  FastFolder() {
    const bool memory = ::access("/dev/shm", W_OK) == 0;
    std::string name = (memory ? "/dev/shm" : std::filesystem::temp_directory_path().string()) +
                       "/tigerbot-test-XXXXXX";
    if (!::mkdtemp(name.data())) throw std::runtime_error("no temporary folder for a test");
    path_ = name;
  }
  ~FastFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  FastFolder(const FastFolder&) = delete;
  FastFolder& operator=(const FastFolder&) = delete;
  std::filesystem::path operator/(const std::string& name) const { return path_ / name; }

 private:
  std::filesystem::path path_;
};

/// A paragraph of made-up sentences, different for every number.
inline std::string made_up_text(std::uint64_t number, std::size_t words) {
  static const std::vector<std::string> kWords{
      "river",  "stone",  "letter", "window", "music",   "garden", "paper",   "winter",
      "street", "market", "engine", "forest", "teacher", "island", "morning", "bridge",
      "河流",   "石头",   "窗户",   "音乐",   "花园",    "冬天",   "街道",    "市场"};
  RandomStream random{7, number};
  std::string text;
  for (std::size_t k = 0; k < words; ++k) {
    text += kWords[random.below(kWords.size())];
    text += k % 11 == 10 ? ". " : " ";
  }
  return text + std::to_string(number) + ".";
}

/// One token for each word: enough to count with.
class WordTokenizer final : public Tokenizer {
 public:
  void encode(std::string_view text, const EncodeOptions&,
              std::vector<TokenId>& ids) const override {
    bool inside = false;
    for (const char byte : text) {
      if (byte != ' ' && !inside) ids.push_back(0);
      inside = byte != ' ';
    }
  }
  std::string decode(std::span<const TokenId>, bool) const override { return ""; }
  std::int64_t size() const override { return 1; }
  std::string piece(TokenId) const override { return "word"; }
  std::optional<TokenId> id(std::string_view) const override { return std::nullopt; }
  bool is_special(TokenId) const override { return false; }
};

/// A run in a folder of its own: three sources of JSON lines with exact and near duplicates.
class SmallRun {
 public:
  explicit SmallRun(std::size_t documents = 150) {
    std::string english, chinese, plain;
    for (std::uint64_t k = 0; k < documents; ++k) {
      std::string text = made_up_text(k, 40 + k % 90);
      if (k % 10 == 9) text = made_up_text(k - 3, 40 + (k - 3) % 90);          // exact
      if (k % 10 == 8) text = made_up_text(k - 2, 40 + (k - 2) % 90) + " x.";  // near
      english += Json{{"text", text}, {"url", "u" + std::to_string(k)}}.dump() + "\n";
      chinese += Json{{"content", made_up_text(100000 + k, 60)}}.dump() + "\n";
      if (k % 3 == 0) plain += made_up_text(200000 + k, 30) + "\n";
    }
    write_file(folder / "a.jsonl", english);
    write_file(folder / "b.jsonl", chinese);
    write_file(folder / "c.txt", plain);
  }

  std::string recipe_text = R"(
[run]
output = "out"
seed = 3
unit_bytes = "8 KiB"
memory_limit = "256 MiB"
[[source]]
name = "a"
kind = "web"
licence = "CC0"
files = "a.jsonl"
[[source]]
name = "b"
kind = "web"
files = "b.jsonl"
text_field = "content"
[[source]]
name = "c"
kind = "books"
files = "c.txt"
format = "text"
text_unit = "line"
[[stage]]
kind = "normalize"
[[stage]]
kind = "exact_duplicates"
[[stage]]
kind = "near_duplicates"
)";
  std::string mixture = "[mixture]\nup_sampling_limit = 3\n[mixture.shares]\nbooks = 0.4\n";
  std::string output_settings = "[output]\nshard_bytes = \"16 KiB\"\nvalidation = 0.1\n";

  /// Builds into folder/`output`; the first line of settings is changed for it.
  BuildResult build(const std::string& output = "out", int threads = 2) const {
    std::string text = recipe_text + mixture + output_settings;
    const std::string line = "output = \"out\"";
    text.replace(text.find(line), line.size(), "output = \"" + output + "\"");
    write_file(folder / "recipe.toml", text);
    Recipe recipe = read_recipe(folder / "recipe.toml");
    recipe.run.threads = threads;
    BuildOptions options;
    options.show_progress = false;
    options.open_tokenizer = [](const std::string&) { return std::make_unique<WordTokenizer>(); };
    options.tokenizer_stamp = [](const std::string& name) { return name; };
    const auto solo = make_solo_communicator();
    return data::build(recipe, options, *solo);
  }

  /// What a user gets: the manifest and the shards, by name.
  std::map<std::string, std::string> files(const std::string& output = "out") const {
    std::map<std::string, std::string> found;
    for (const auto& entry : std::filesystem::directory_iterator(folder / output)) {
      const std::string name = entry.path().filename().string();
      if (entry.is_regular_file() && !name.starts_with("report."))
        found[name] = read_file(entry.path());
    }
    return found;
  }

  /// The rows of all shards of a split.
  std::vector<Json> rows(const std::string& split, const std::string& output = "out") const {
    std::vector<Json> rows;
    for (const auto& item : files(output)) {
      if (!item.first.starts_with(split)) continue;
      std::string raw(
          ZSTD_isError(ZSTD_findFrameCompressedSize(item.second.data(), item.second.size()))
              ? 0
              : 4 << 20,
          '\0');
      raw.resize(ZSTD_decompress(raw.data(), raw.size(), item.second.data(), item.second.size()));
      for (std::size_t at = 0; at < raw.size();) {
        const std::size_t end = raw.find('\n', at);
        rows.push_back(Json::parse(raw.substr(at, end - at)));
        at = end + 1;
      }
    }
    return rows;
  }

  FastFolder folder;
};

/// Runs `action` in a child process, which ends with 0, or with 9 after an Error; -1 if it is
/// killed after `microseconds` (0: never).
inline int in_child(const std::function<void()>& action, unsigned microseconds = 0) {
  const pid_t child = ::fork();
  if (child == 0) {
    try {
      action();
    } catch (const Error&) {
      ::_exit(9);
    }
    ::_exit(0);
  }
  if (microseconds > 0) {
    ::usleep(microseconds);
    ::kill(child, SIGKILL);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

}  // namespace tigerbot::data::testing
