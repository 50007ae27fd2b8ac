#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "data/reader.h"

namespace tigerbot::data::testing {

/// All that a reader gives for one file.
struct Reading {
  std::vector<Document> documents;
  std::vector<BadInput> bad;

  std::vector<std::string> texts() const;
};

/// Writes `bytes` under this name in a folder of this test alone.
std::filesystem::path write_input(const std::string& name, std::string_view bytes);

Reading read_documents(const std::filesystem::path& file, ReaderOptions options = {});

/// The same for bytes that are written under `name` first.
Reading read_bytes(const std::string& name, std::string_view bytes, ReaderOptions options = {});

std::string gzip(std::string_view bytes);
std::string zstd(std::string_view bytes);
std::string bzip2(std::string_view bytes);

}  // namespace tigerbot::data::testing
