#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

/// Small helpers on text that error messages, bars and tables share.
namespace tigerbot {

/// Number of single-character insertions, deletions, substitutions and swaps of neighbours that
/// turn `a` into `b` (optimal string alignment), over bytes.
std::size_t edit_distance(std::string_view a, std::string_view b);

/// The candidate nearest to `name`, or "" where none is near enough to be a likely misspelling
/// (at most a third of the longer length, case ignored).
std::string nearest_name(std::string_view name, std::span<const std::string> candidates);

/// `; did you mean "nearest"?`, or "" where no candidate is near.
std::string did_you_mean(std::string_view name, std::span<const std::string> candidates);

/// `text` in double quotes, control characters escaped, cut to about `limit` bytes: safe to show
/// in a one-line message whatever the bytes are.
std::string quote(std::string_view text, std::size_t limit = 60);

/// 1536 -> "1.5 KiB".
std::string format_bytes(std::uint64_t bytes);

/// 75.2 s -> "1m 15s".
std::string format_duration(double seconds);

/// 1234567 -> "1,234,567".
std::string format_count(std::uint64_t count);

/// The parts of `text` between separators; an empty text gives one empty part.
std::vector<std::string_view> split(std::string_view text, char separator);

/// `text` without ASCII white space at either end.
std::string_view trim(std::string_view text);

}  // namespace tigerbot
