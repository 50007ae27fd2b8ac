#pragma once

#include <array>
#include <memory>
#include <string_view>
#include <vector>

#include "data/stage.h"
#include "data/stages/text_statistics.h"

namespace tigerbot::data {

/// One rule as documentation and tests see it.
struct RuleInformation {
  std::string_view reason;  ///< "rules.digit_ratio"
  std::string_view key;     ///< "max_digit_ratio"
  std::string_view meaning;
  std::array<double, 4> defaults;  ///< spaced, Chinese, Japanese, Korean; NaN: off
};
std::vector<RuleInformation> rule_list();

/// The value that every rule measures in a text, in the order of rule_list().
std::vector<double> rule_values(std::string_view text, std::string_view language);

/// `kind = "rules"`. Keys and reason codes: docs/data-stages.md.
std::unique_ptr<DocumentStage> make_rules_stage(JsonReader& reader);

}  // namespace tigerbot::data
