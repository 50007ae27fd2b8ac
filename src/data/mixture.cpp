#include "data/mixture.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/error.h"
#include "base/text.h"

namespace tigerbot::data {
namespace {

/// Sources that divide one share among them.
struct Group {
  std::string name;
  double share = 0;
  std::vector<std::size_t> sources;
};

double weight_of(const MixtureSettings& settings, const SourceSupply& source) {
  if (const auto own = settings.weights.find(source.name); own != settings.weights.end())
    return own->second;
  if (const auto kind = settings.weights.find(source.kind); kind != settings.weights.end())
    return kind->second;
  return 1;
}

std::string show(const MixtureSettings& settings, double amount) {
  const auto whole = static_cast<std::uint64_t>(std::llround(amount));
  if (settings.by == Measure::kBytes) return format_bytes(whole);
  return format_count(whole) + " " + std::string(measure_name(settings.by));
}

/// Amounts of the sources of a group that add up to `target`, in proportion to weight times supply,
/// none past limit times its supply: what one cannot give the others do.
std::vector<double> divide(double target, double limit, const std::vector<double>& supply,
                           const std::vector<double>& weighted) {
  std::vector<double> amounts(supply.size(), 0);
  std::vector<bool> full(supply.size(), false);
  for (std::size_t round = 0; round <= supply.size(); ++round) {
    double left = target, sum = 0;
    for (std::size_t k = 0; k < supply.size(); ++k) {
      if (full[k])
        left -= amounts[k];
      else
        sum += weighted[k];
    }
    bool again = false;
    for (std::size_t k = 0; k < supply.size(); ++k) {
      if (full[k]) continue;
      amounts[k] = sum > 0 ? left * weighted[k] / sum : 0;
      if (amounts[k] > limit * supply[k]) {
        amounts[k] = limit * supply[k];
        full[k] = again = true;
      }
    }
    if (!again) break;
  }
  return amounts;
}

std::vector<Group> groups_of(const MixtureSettings& settings,
                             std::span<const SourceSupply> sources) {
  std::vector<Group> groups;
  Group rest;
  rest.name = "the sources without a share";
  rest.share = 1;
  for (const auto& item : settings.shares) {
    Group group;
    group.name = item.first;
    group.share = item.second;
    rest.share -= item.second;
    for (std::size_t k = 0; k < sources.size(); ++k)
      if (sources[k].name == item.first || sources[k].kind == item.first)
        group.sources.push_back(k);
    groups.push_back(std::move(group));
  }
  if (rest.share < 1e-9) rest.share = 0;
  for (std::size_t k = 0; k < sources.size(); ++k) {
    const bool named = std::any_of(groups.begin(), groups.end(), [&](const Group& group) {
      return std::count(group.sources.begin(), group.sources.end(), k) > 0;
    });
    if (!named) rest.sources.push_back(k);
  }
  if (!rest.sources.empty() || rest.share > 0) groups.push_back(std::move(rest));
  return groups;
}

MixturePlan by_weights(const MixtureSettings& settings, std::span<const SourceSupply> sources,
                       const std::string& where) {
  MixturePlan plan;
  double weighted = 0, most = 0;
  for (const SourceSupply& source : sources) {
    const double weight = weight_of(settings, source);
    const double amount = static_cast<double>(source.amount);
    weighted += weight * amount;
    if (weight > 0) most = std::max(most, weight);
  }
  double scale = 1;
  if (settings.total && weighted > 0) scale = static_cast<double>(*settings.total) / weighted;
  if (weighted <= 0)
    fail("{}: nothing is left to mix: the sources have no documents after all stages", where);
  if (!settings.total) {
    // A weight says how often a document is taken; a limit below the largest scales all down.
    if (most > settings.up_sampling_limit && !settings.nearest)
      fail(
          "{}: mixture.weights asks for {:.4g} copies of a document and up_sampling_limit is "
          "{:.4g}; raise up_sampling_limit, or set unreachable = \"nearest\"",
          where, most, settings.up_sampling_limit);
  } else if (scale * most > settings.up_sampling_limit * (1 + 1e-9) && !settings.nearest) {
    fail(
        "{}: mixture.total asks for {} and there are {} (by weights, at up_sampling_limit {:.4g}); "
        "lower total, raise up_sampling_limit to {:.3g}, or set unreachable = \"nearest\"",
        where, show(settings, static_cast<double>(*settings.total)),
        show(settings, weighted / most * settings.up_sampling_limit), settings.up_sampling_limit,
        std::ceil(scale * most * 100) / 100);
  }
  for (const SourceSupply& source : sources) {
    const double asked = scale * weight_of(settings, source);
    const double factor = std::min(asked, settings.up_sampling_limit);
    if (factor < asked * (1 - 1e-9) && source.amount > 0)
      plan.notes.push_back(fmt::format("{}: {:.4g} copies were asked for, {:.4g} are taken",
                                       source.name, asked, factor));
    plan.factors.push_back(factor);
    plan.total += factor * static_cast<double>(source.amount);
  }
  return plan;
}

}  // namespace

MixturePlan plan_mixture(const MixtureSettings& settings, std::span<const SourceSupply> sources,
                         const std::string& where) {
  if (settings.shares.empty()) return by_weights(settings, sources, where);
  const double limit = settings.up_sampling_limit;
  std::vector<Group> groups = groups_of(settings, sources);
  const auto most = [&](const Group& group) {
    double sum = 0;
    for (const std::size_t k : group.sources)
      if (weight_of(settings, sources[k]) > 0) sum += static_cast<double>(sources[k].amount);
    return sum * limit;
  };

  // The total that the scarcest group allows.
  double total = std::numeric_limits<double>::infinity();
  const Group* scarcest = nullptr;
  for (const Group& group : groups) {
    if (group.share <= 0) continue;
    const double there = most(group);
    if (there <= 0) {
      if (!settings.nearest)
        fail(
            "{}: mixture.shares asks {:.4g}% of {} and there is nothing of it after all stages; "
            "take the share away, or set unreachable = \"nearest\"",
            where, group.share * 100, group.name);
      continue;
    }
    if (there / group.share < total) {
      total = there / group.share;
      scarcest = &group;
    }
  }
  if (scarcest == nullptr)
    fail("{}: nothing is left to mix: the sources have no documents after all stages", where);
  if (settings.total) {
    const auto asked = static_cast<double>(*settings.total);
    if (asked > total * (1 + 1e-9) && !settings.nearest)
      fail(
          "{}: mixture.shares asks {:.4g}% of {} from {}, {}, and there are {} (at "
          "up_sampling_limit {:.4g}); lower total to {}, raise up_sampling_limit to {:.3g}, or set "
          "unreachable = \"nearest\"",
          where, scarcest->share * 100, show(settings, asked), scarcest->name,
          show(settings, asked * scarcest->share), show(settings, most(*scarcest)), limit,
          show(settings, total),
          std::ceil(asked * scarcest->share / most(*scarcest) * limit * 100) / 100);
    total = asked;
  }

  MixturePlan plan;
  plan.factors.assign(sources.size(), 0);
  for (const Group& group : groups) {
    std::vector<double> supply, weighted;
    for (const std::size_t k : group.sources) {
      supply.push_back(static_cast<double>(sources[k].amount));
      weighted.push_back(supply.back() * weight_of(settings, sources[k]));
    }
    const double target = total * group.share;
    const std::vector<double> amounts = divide(target, limit, supply, weighted);
    double reached = 0;
    for (std::size_t k = 0; k < amounts.size(); ++k) {
      if (supply[k] > 0) plan.factors[group.sources[k]] = amounts[k] / supply[k];
      reached += amounts[k];
    }
    if (reached < target * (1 - 1e-6))
      plan.notes.push_back(fmt::format("{}: {} were asked for ({:.4g}%), {} are there", group.name,
                                       show(settings, target), group.share * 100,
                                       show(settings, reached)));
    plan.total += reached;
  }
  return plan;
}

}  // namespace tigerbot::data
