#include "weights/hub/hugging_face_hub.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>

#include "base/error.h"
#include "base/files.h"
#include "base/json.h"
#include "base/progress.h"
#include "base/text.h"

namespace tigerbot {
namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t kLongestListing = 64 << 20;

bool is_plain_name(std::string_view text) {
  if (text.empty() || text.size() > 200 || text[0] == '.' || text[0] == '-') return false;
  return std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '_' || c == '-';
  });
}

/// True if `name`, joined to a folder, stays inside it.
bool is_safe_path(std::string_view name) {
  if (name.empty() || name.size() > 1000) return false;
  for (const char c : name)
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f || c == '\\') return false;
  const auto parts = split(name, '/');
  return std::none_of(parts.begin(), parts.end(), [](std::string_view part) {
    return part.empty() || part == "." || part == "..";
  });
}

bool is_hexadecimal(std::string_view text, std::size_t length) {
  return text.size() == length && text.find_first_not_of("0123456789abcdef") == text.npos;
}

/// Why the hub refused, with what to do about it.
[[noreturn]] void fail_with(const HttpFailure& failure, const Hub& hub, const HubName& name,
                            const std::string& file) {
  const std::string what =
      file.empty() ? name.text() : fmt::format("{}: {}", name.text(), quote(file));
  const std::string host = url_for_people(hub.endpoint);
  if (failure.status == 401 || failure.status == 403)
    fail(
        "{}: {} refuses it (HTTP {}); it may not exist, or it is private or gated: accept its "
        "terms on its page and set HF_TOKEN",
        what, host, failure.status);
  if (failure.status == 404)
    fail("{}: is not at {} (HTTP 404); check owner, name and revision", what, host);
  fail("{}: {}: {}", what, host, failure.message);
}

bool is_weights_shard(const std::string& name) {
  return name == "model.safetensors" ||
         (name.starts_with("model-") && name.ends_with(".safetensors"));
}

/// Configurations, tokenizer, templates, licence: small files that describe the model. Folders are
/// left out (other runtimes' copies) but those of sentence-transformers' modules ("1_Pooling").
bool is_description(const std::string& name) {
  const auto slash = name.find('/');
  if (slash != std::string::npos &&
      (name[0] < '0' || name[0] > '9' || name.find('/', slash + 1) != std::string::npos))
    return false;
  const std::string file = name.substr(slash == std::string::npos ? 0 : slash + 1);
  if (file[0] == '.') return false;
  return file.ends_with(".json") || file.ends_with(".model") || file.ends_with(".txt") ||
         file.ends_with(".jinja") || file.starts_with("LICENSE") || file.starts_with("USE_POLICY");
}

}  // namespace

HubName HubName::parse(std::string_view text) {
  const std::string original(text);
  const auto bad = [&] {
    fail("{}: is no name of a model on the hub; the form is hf:OWNER/NAME[/FILE.gguf][@REVISION]",
         quote(original));
  };
  if (!text.starts_with("hf:")) bad();
  text.remove_prefix(3);
  HubName result;
  if (const auto at = text.find('@'); at != text.npos) {
    result.revision = text.substr(at + 1);
    text = text.substr(0, at);
    if (!is_safe_path(result.revision) || result.revision.find('%') != std::string::npos) bad();
  }
  const auto parts = split(text, '/');
  if (parts.size() < 2 || !is_plain_name(parts[0]) || !is_plain_name(parts[1])) bad();
  result.owner = parts[0];
  result.name = parts[1];
  if (parts.size() > 2) {
    result.file = text.substr(parts[0].size() + parts[1].size() + 2);
    if (!is_safe_path(result.file) || !result.file.ends_with(".gguf")) bad();
  }
  return result;
}

std::string HubName::text() const {
  return fmt::format("hf:{}/{}{}{}", owner, name, file.empty() ? "" : "/" + file,
                     revision.empty() ? "" : "@" + revision);
}

fs::path HubName::folder() const {
  // One folder a model: what stands below OWNER/ has no slash.
  std::string leaf = name;
  if (!file.empty()) leaf += "/" + file;
  if (!revision.empty()) leaf += "@" + revision;
  std::string flat;
  for (const char c : leaf) flat += c == '/' ? std::string("%2F") : std::string(1, c);
  return fs::path("hf") / owner / flat;
}

Hub Hub::from_environment() {
  Hub hub;
  const char* endpoint = std::getenv("HF_ENDPOINT");
  hub.endpoint = endpoint && *endpoint ? endpoint : "https://huggingface.co";
  while (hub.endpoint.ends_with('/')) hub.endpoint.pop_back();
  if (!hub.endpoint.starts_with("http://") && !hub.endpoint.starts_with("https://"))
    fail("HF_ENDPOINT={}: must begin with https:// or http://", quote(hub.endpoint));
  if (const char* token = std::getenv("HF_TOKEN"); token && *token) {
    const std::string_view trimmed = trim(token);
    for (const char c : trimmed)
      if (c <= 0x20 || c >= 0x7f) fail("HF_TOKEN: has characters that no token has");
    hub.http.headers.push_back(fmt::format("Authorization: Bearer {}", trimmed));
  }
  return hub;
}

HubListing parse_hub_listing(std::string_view json, const HubName& name) {
  const std::string source = fmt::format("{}: the hub's answer", name.text());
  const Json document = parse_json(json, source, {.reject_duplicate_keys = false});
  JsonReader reader(document, source);
  HubListing listing;
  listing.commit = reader.get<std::string>("sha");
  if (!is_hexadecimal(listing.commit, 40))
    fail("{}: {} is no commit", source, quote(listing.commit));
  for (auto& sibling : reader.objects("siblings")) {
    HubFile file;
    file.name = sibling.get<std::string>("rfilename");
    if (!is_safe_path(file.name))
      fail("{}: names a file {}, which would lie outside the model's folder", source,
           quote(file.name));
    if (auto lfs = sibling.find_object("lfs")) {
      file.size = lfs->get<std::uint64_t>("size");
      file.checksum = {Checksum::Kind::kSha256, lfs->get<std::string>("sha256")};
      if (!is_hexadecimal(file.checksum.hex, 64)) fail("{} is no SHA-256", lfs->place("sha256"));
    } else {
      file.size = sibling.get<std::uint64_t>("size", 0);
      file.checksum = {Checksum::Kind::kGitBlobSha1, sibling.get("blobId", "")};
    }
    listing.files.push_back(std::move(file));
  }
  return listing;
}

std::vector<HubFile> choose_model_files(const HubListing& listing, const HubName& name) {
  std::vector<HubFile> chosen, gguf;
  bool has_weights = false, has_config = false, has_pickle = false;
  for (const auto& file : listing.files) {
    has_config = has_config || file.name == "config.json";
    has_pickle = has_pickle || file.name.ends_with(".bin") || file.name.ends_with(".pth");
    if (file.name.ends_with(".gguf")) gguf.push_back(file);
    if (is_weights_shard(file.name) || is_description(file.name)) {
      has_weights = has_weights || is_weights_shard(file.name);
      chosen.push_back(file);
    }
  }
  if (!name.file.empty()) {
    std::erase_if(gguf, [&](const HubFile& file) { return file.name != name.file; });
    if (gguf.empty()) fail("{}: the repository has no file {}", name.text(), quote(name.file));
    chosen = gguf;
  } else if (!has_weights || !has_config) {
    if (gguf.size() > 1) {
      std::string names;
      for (const auto& file : gguf) {
        if (names.size() > 300) {
          names += ", ...";
          break;
        }
        names += (names.empty() ? "" : ", ") + file.name;
      }
      fail("{}: has {} GGUF files; name one, as hf:{}/{}/FILE: {}", name.text(), gguf.size(),
           name.owner, name.name, names);
    }
    if (gguf.empty())
      fail(
          "{}: has no {}{}", name.text(),
          has_weights ? "config.json" : "safetensors and no GGUF file",
          has_pickle && !has_weights ? "; Python pickles are not read, because they run code" : "");
    chosen = gguf;
  }
  for (const auto& file : chosen)
    if (file.checksum.hex.empty())
      fail("{}: the hub gives no checksum for {}", name.text(), quote(file.name));
  return chosen;
}

HubListing list_hub_files(const Hub& hub, const HubName& name) {
  std::string revision;
  for (const char c : name.revision.empty() ? std::string("main") : name.revision)
    revision += c == '/' ? std::string("%2F") : percent_encode_path({&c, 1});
  const std::string url = fmt::format("{}/api/models/{}/{}/revision/{}?blobs=true", hub.endpoint,
                                      name.owner, name.name, revision);
  const auto answer = http_get(url, hub.http, kLongestListing);
  if (const auto* failure = std::get_if<HttpFailure>(&answer)) fail_with(*failure, hub, name, "");
  return parse_hub_listing(std::get<HttpText>(answer).body, name);
}

void fetch_hub_files(const Hub& hub, const HubName& name, const std::string& commit,
                     const std::vector<HubFile>& files, const fs::path& folder) {
  std::uint64_t total = 0;
  for (const auto& file : files) total += file.size;
  create_folders(folder);
  std::error_code error;
  // The part that an earlier call fetched is not needed again, but a close call is no problem.
  if (const auto space = fs::space(folder, error); !error && space.available < total / 20 * 21) {
    std::uint64_t there = 0;
    for (const auto& entry : fs::recursive_directory_iterator(folder, error))
      if (entry.is_regular_file(error)) there += entry.file_size(error);
    if (space.available + there < total)
      fail("{}: needs {}, and {} has {} free; set TIGERBOT_CACHE or remove models", name.text(),
           format_bytes(total), folder.string(), format_bytes(space.available));
  }
  Progress bar(fmt::format("Fetching {}", name.text()), total, {.unit = Progress::Unit::kBytes});
  std::uint64_t before = 0;
  for (const auto& file : files) {
    const fs::path path = folder / file.name;
    create_folders(path.parent_path());
    if (!fs::is_regular_file(path, error) || fs::file_size(path, error) != file.size) {
      const std::string url = fmt::format("{}/{}/{}/resolve/{}/{}", hub.endpoint, name.owner,
                                          name.name, commit, percent_encode_path(file.name));
      const auto failure =
          http_download({url, path, file.size, file.checksum}, hub.http,
                        [&](std::uint64_t there) { bar.set_done(before + there); });
      if (failure) fail_with(*failure, hub, name, file.name);
    }
    before += file.size;
    bar.set_done(before);
  }
}

}  // namespace tigerbot
