#include <glob.h>

#include <algorithm>
#include <set>

#include "base/error.h"
#include "base/files.h"
#include "base/json.h"
#include "base/text.h"
#include "data/reader.h"

namespace tigerbot::data {
namespace {

namespace fs = std::filesystem;

bool is_hidden(const fs::path& path) { return path.filename().string().starts_with('.'); }

/// True for what `data build` leaves behind: held-out text, reports and work in progress stand
/// there beside the text to train on.
bool is_build_output(const fs::path& folder) {
  std::error_code error;
  const fs::path manifest = folder / "manifest.json";
  if (!fs::is_regular_file(manifest, error)) return false;
  const Json json = Json::parse(read_file(manifest), nullptr, /*allow_exceptions=*/false);
  return json.is_object() && json.contains("format") && json["format"] == "tigerbot-data-1";
}

/// All files under `folder`, by name; of an output of `data build` its shards to train on.
std::vector<fs::path> files_under(const fs::path& folder) {
  std::vector<fs::path> files;
  std::error_code error;
  const auto options = fs::directory_options::follow_directory_symlink;
  for (fs::recursive_directory_iterator at(folder, options, error), end; at != end;
       at.increment(error)) {
    if (error) break;
    std::error_code unreadable;
    if (is_hidden(at->path())) {
      at.disable_recursion_pending();
    } else if (at->is_regular_file(unreadable)) {
      files.push_back(at->path());
    }
  }
  if (error) fail("{}: the folder cannot be read: {}", folder.string(), error.message());
  if (is_build_output(folder)) {
    std::erase_if(files, [&](const fs::path& file) {
      return file != folder / file.filename() || !file.filename().string().starts_with("train-");
    });
  }
  std::sort(files.begin(), files.end());
  return files;
}

std::vector<fs::path> expand_glob(const fs::path& pattern) {
  struct Result {
    glob_t value{};
    ~Result() { ::globfree(&value); }
  } found;
  if (::glob(pattern.c_str(), GLOB_BRACE, nullptr, &found.value) != 0) return {};
  return {found.value.gl_pathv, found.value.gl_pathv + found.value.gl_pathc};
}

}  // namespace

std::vector<fs::path> find_inputs(const std::vector<std::string>& patterns,
                                  const fs::path& folder) {
  std::vector<fs::path> inputs;
  std::set<fs::path> seen;
  for (const auto& written : patterns) {
    fs::path pattern = expand_home(written);
    if (pattern.is_relative()) pattern = folder / pattern;
    std::error_code error;
    std::vector<fs::path> matches;
    if (fs::exists(pattern, error))
      matches = {pattern};
    else
      matches = expand_glob(pattern);
    if (matches.empty())
      fail("{}: no file has this name or fits this pattern", quote(pattern.string(), 200));
    bool any = false;
    for (const auto& match : matches) {
      const auto files =
          fs::is_directory(match, error) ? files_under(match) : std::vector<fs::path>{match};
      for (const auto& file : files) {
        any = true;
        if (seen.insert(file.lexically_normal()).second) inputs.push_back(file);
      }
    }
    if (!any) fail("{}: there are no files in this folder", quote(pattern.string(), 200));
  }
  return inputs;
}

}  // namespace tigerbot::data
