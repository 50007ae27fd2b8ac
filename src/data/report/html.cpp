#include "data/report/html.h"

#include <fmt/format.h>

#include <array>
#include <cmath>

#include "base/text.h"

namespace tigerbot::data::html {

SizeUnit size_unit(std::uint64_t largest) {
  if (largest >= 100'000'000'000'000) return {"TB", 1e12};
  if (largest >= 1'000'000'000) return {"GB", 1e9};
  if (largest >= 1'000'000) return {"MB", 1e6};
  return {"kB", 1e3};
}

std::string SizeUnit::show(std::uint64_t amount) const {
  return fmt::format("{:.2f}", static_cast<double>(amount) / bytes);
}

std::string percent(double share) { return fmt::format("{:.1f}%", share * 100); }

std::string counted(std::uint64_t count, std::string_view noun, std::string_view between) {
  return fmt::format("{}{}{}{}", format_count(count), between, noun, count == 1 ? "" : "s");
}

std::string short_count(double count) {
  static constexpr std::array<std::pair<double, const char*>, 3> kUnits{
      {{1e9, " G"}, {1e6, " M"}, {1e3, " k"}}};
  for (const auto& unit : kUnits)
    if (count >= unit.first)
      return fmt::format("{:.{}f}{}", count / unit.first, count / unit.first < 10 ? 1 : 0,
                         unit.second);
  return fmt::format("{:.0f}", count);
}

std::string name_or_unknown(const std::string& name) { return name.empty() ? "unknown" : name; }

}  // namespace tigerbot::data::html
