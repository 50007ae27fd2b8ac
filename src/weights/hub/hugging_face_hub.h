#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "weights/hub/http.h"

namespace tigerbot {

/// A model on the Hugging Face hub, as `hf:OWNER/NAME[/FILE.gguf][@REVISION]` names it.
struct HubName {
  std::string owner, name;
  std::string file;      ///< one GGUF file of the repository, or ""
  std::string revision;  ///< branch, tag or commit; "" is the main branch

  /// An Error if `text` (with its "hf:") has another form.
  static HubName parse(std::string_view text);

  /// Back to text.
  std::string text() const;

  /// Where it lies below the models folder: "hf/OWNER/NAME", with "@REVISION" where one is named.
  std::filesystem::path folder() const;
};

/// Endpoint and token: HF_ENDPOINT (https://huggingface.co) and HF_TOKEN.
struct Hub {
  std::string endpoint;
  HttpOptions http;

  static Hub from_environment();
};

/// One file of a repository, as the hub's API lists it.
struct HubFile {
  std::string name;
  std::uint64_t size = 0;
  Checksum checksum;
};

struct HubListing {
  std::string commit;
  std::vector<HubFile> files;
};

/// Reads the hub's answer to /api/models/OWNER/NAME/revision/REVISION?blobs=true. An Error if it is
/// not what it should be; a file whose name could lead out of the model's folder is one.
HubListing parse_hub_listing(std::string_view json, const HubName& name);

/// The files of a listing that make up the model: configurations, tokenizer and safetensors; where
/// there are no safetensors, the only GGUF file, or the one that `name` asks for.
std::vector<HubFile> choose_model_files(const HubListing& listing, const HubName& name);

/// Asks the hub what the model's files are.
HubListing list_hub_files(const Hub& hub, const HubName& name);

/// Fetches the chosen files into `folder`, each checked. What a call that was cut short left in
/// `folder` is taken up again.
void fetch_hub_files(const Hub& hub, const HubName& name, const std::string& commit,
                     const std::vector<HubFile>& files, const std::filesystem::path& folder);

}  // namespace tigerbot
