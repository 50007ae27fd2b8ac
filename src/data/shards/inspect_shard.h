#pragma once

#include <filesystem>
#include <string>

#include "base/json.h"

namespace tigerbot::data {

/// True for a shard's prefix, its .bin or its .idx.
bool is_shard(const std::filesystem::path& path);

/// What is in a token shard, as JSON: documents, tokens, type, lengths of documents, and its
/// manifest. The whole index is checked; the checksums of the files only if `checksums`.
Json inspect_shard(const std::filesystem::path& path, bool checksums);

/// The same for people.
std::string format_shard_inspection(const Json& inspection);

}  // namespace tigerbot::data
