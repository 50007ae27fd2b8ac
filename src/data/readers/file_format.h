#pragma once

#include <filesystem>
#include <string>
#include <string_view>

namespace tigerbot::data {

/// The format (a word of ReaderOptions::format) that a file's magic number, its name (without .gz,
/// .zst and the like) or the look of its first bytes say, in this order; "" for none.
std::string detect_format(const std::filesystem::path& file, std::string_view first_bytes);

}  // namespace tigerbot::data
