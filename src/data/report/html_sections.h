#pragma once

#include <string>

#include "base/json.h"

/// The sections of the HTML report, each a function of report.json; "" where there is nothing to
/// show.
namespace tigerbot::data::html {

std::string tiles(const Json& report);
std::string mixture_section(const Json& report);
std::string funnel_section(const Json& report);
std::string drops_section(const Json& report);
std::string edits_section(const Json& report);
std::string duplicates_section(const Json& report);
std::string overlap_section(const Json& report);
std::string histograms_section(const Json& report);
std::string bad_inputs_section(const Json& report);
std::string time_section(const Json& report);
std::string settings_section(const Json& report);
std::string shards_section(const Json& report);

/// Sums of an object of amounts: documents, bytes, characters.
struct Sum {
  std::uint64_t documents = 0, bytes = 0, characters = 0, tokens = 0;
};
Sum sum_of(const Json& amount);
Sum sum_of_all(const Json& amounts);

/// `<section id=...><h2>title</h2>body</section>`
std::string section(const std::string& id, const std::string& title, const std::string& body);

}  // namespace tigerbot::data::html
