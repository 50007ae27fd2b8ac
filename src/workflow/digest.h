#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "base/json.h"

namespace tigerbot::workflow {

/// SHA-256 of files, remembered as long as a file's size and time stay what they were, so that a
/// run in which nothing changed reads nothing again.
class Digests {
 public:
  /// `memory`: what to_json() gave at the end of an earlier run; null for none.
  explicit Digests(const Json& memory = nullptr);

  /// Of a file's bytes, or of a folder: of the names and digests of all files below it.
  std::string of(const std::filesystem::path& path);

  /// Of everything that a pattern names: a file, a folder, or a glob. "" where there is nothing.
  std::string of_pattern(const std::string& pattern);

  /// Says that a folder was renamed: what is known of its files stays known.
  void moved(const std::filesystem::path& from, const std::filesystem::path& to);

  Json to_json() const;

 private:
  std::string of_file(const std::filesystem::path& path);

  std::map<std::string, Json> memory_;
};

/// The paths that a pattern names, sorted: itself if it exists, or what a glob (*, ?, [a-z], {a,b})
/// matches.
std::vector<std::filesystem::path> matches(const std::string& pattern);

/// Bytes that the files below a folder take on the disk.
std::uint64_t disk_usage(const std::filesystem::path& folder);

}  // namespace tigerbot::workflow
