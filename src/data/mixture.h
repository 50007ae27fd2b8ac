#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "data/recipe.h"

/// How much of each source goes into the output: target shares or weights become one factor a
/// source, the number of times that its documents are taken.
namespace tigerbot::data {

/// What a source can give to the training split, in the mixture's measure.
struct SourceSupply {
  std::string name;
  std::string kind;
  std::uint64_t amount = 0;
};

struct MixturePlan {
  std::vector<double> factors;     ///< of each source; 0.25: a quarter of it, 2.5: 2 or 3 copies
  double total = 0;                ///< of all sources, in the mixture's measure
  std::vector<std::string> notes;  ///< where the shares were not reached: one line each
};

/// Without shares a source gives weight times what it has; `total` then scales all alike. A share
/// is a part of the total for a source or for all sources of a kind (which divide it by weight
/// times what they have); sources without a share divide what the shares leave. Without `total` the
/// total is the largest at which no document is taken more often than up_sampling_limit.
///
/// Where a share cannot be reached: an Error that says what is there and what was asked, or, with
/// `nearest`, as much as there is and a note. `where` names the recipe in messages.
MixturePlan plan_mixture(const MixtureSettings& settings, std::span<const SourceSupply> sources,
                         const std::string& where);

}  // namespace tigerbot::data
