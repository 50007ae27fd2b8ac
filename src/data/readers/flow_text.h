#pragma once

#include <string>
#include <string_view>

namespace tigerbot::data {

/// A line end that stays, in text that flow_text() gets.
inline constexpr char kLineBreak = '\x01';

/// Running text of markup: white space becomes one space, or nothing between Chinese or Japanese
/// characters, where the line end of a source file means nothing; kLineBreak a line end.
std::string flow_text(std::string_view text);

}  // namespace tigerbot::data
