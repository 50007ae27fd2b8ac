#pragma once

#include <cstdint>
#include <string>
#include <string_view>

/// Small pieces of HTML that the report's parts share.
namespace tigerbot::data::html {

/// A number of bytes in the unit that suits the whole run: "12.34" of "GB".
struct SizeUnit {
  std::string name;
  double bytes = 1;
  std::string show(std::uint64_t amount) const;
};
SizeUnit size_unit(std::uint64_t largest);

/// 0.1234 -> "12.3%".
std::string percent(double share);

/// "1 file", "2 files"; `between` stands in place of the space.
std::string counted(std::uint64_t count, std::string_view noun, std::string_view between = " ");

/// 12345678 -> "12.3 M": for axes and tiles.
std::string short_count(double count);

/// A language's or kind's name, "unknown" for "".
std::string name_or_unknown(const std::string& name);

}  // namespace tigerbot::data::html
