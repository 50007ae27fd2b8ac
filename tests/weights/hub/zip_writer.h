#pragma once

#include <string>
#include <vector>

namespace tigerbot::testing {

struct ZipFile {
  std::string name, bytes;
  bool deflate = false;
};

/// A zip archive of these files, as bytes.
std::string zip_archive(const std::vector<ZipFile>& files, const std::string& comment = "");

}  // namespace tigerbot::testing
