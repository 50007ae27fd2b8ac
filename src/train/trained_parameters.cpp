#include "train/trained_parameters.h"

#include <charconv>
#include <optional>

#include "base/error.h"
#include "base/text.h"

namespace tigerbot::train {
namespace {

struct Pattern {
  std::string name;
  std::optional<std::int64_t> first, last;  // rows
};

std::optional<std::int64_t> parse_row(std::string_view text, const std::string& place) {
  if (text.empty()) return std::nullopt;
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value < 0) {
    fail("{}: {} is no number of a row", place, quote(text));
  }
  return value;
}

Pattern parse_pattern(const std::string& text, const std::string& place) {
  const std::size_t open = text.find('[');
  if (open == std::string::npos) return {text, {}, {}};
  const std::size_t colon = text.find(':', open);
  if (!text.ends_with("]") || colon == std::string::npos) {
    fail("{}: {}: rows are written [first:end]", place, quote(text));
  }
  return {text.substr(0, open),
          parse_row(std::string_view(text).substr(open + 1, colon - open - 1), place),
          parse_row(std::string_view(text).substr(colon + 1, text.size() - colon - 2), place)};
}

}  // namespace

bool matches(std::string_view pattern, std::string_view text) {
  const std::size_t star = pattern.find('*');
  if (star == std::string_view::npos) return pattern == text;
  if (!text.starts_with(pattern.substr(0, star))) return false;
  for (std::size_t at = star; at <= text.size(); ++at) {
    if (matches(pattern.substr(star + 1), text.substr(at))) return true;
  }
  return false;
}

void freeze(Decoder& model) {
  for (const Parameter& parameter : model.parameters()) {
    if (parameter.tensor->requires_grad()) *parameter.tensor = parameter.tensor->detach();
  }
}

std::vector<TrainedParameter> choose_parameters(Decoder& model,
                                                const std::vector<std::string>& patterns,
                                                const std::string& place) {
  freeze(model);
  std::vector<Pattern> wanted;
  for (const std::string& text : patterns) {
    wanted.push_back(parse_pattern(text == "all" ? "*" : text, place));
  }
  std::vector<bool> used(wanted.size(), false);
  std::vector<TrainedParameter> chosen;
  for (const Parameter& parameter : model.parameters()) {
    const Pattern* found = nullptr;
    for (std::size_t i = 0; i < wanted.size(); ++i) {
      if (!matches(wanted[i].name, parameter.name)) continue;
      used[i] = true;
      if (!found) found = &wanted[i];
    }
    if (!found) continue;
    TrainedParameter trained;
    trained.name = parameter.name;
    trained.shape = parameter.shape;
    trained.tensor = parameter.tensor;
    trained.decays = parameter.shape.size() > 1;
    const std::int64_t rows = parameter.shape.front();
    const std::int64_t last = found->last.value_or(rows);
    trained.first_row = found->first.value_or(0);
    trained.rows = last - trained.first_row;
    if (trained.rows <= 0 || last > rows) {
      fail("{}: rows {} to {} of {} are asked for; it has {}", place, trained.first_row, last,
           parameter.name, rows);
    }
    // A file's map must not be written to, and training writes all over its weights.
    *parameter.tensor = parameter.tensor->clone().set_requires_grad(true);
    chosen.push_back(std::move(trained));
  }
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    if (used[i]) continue;
    std::vector<std::string> names;
    for (const Parameter& parameter : model.parameters()) names.push_back(parameter.name);
    fail("{}: no parameter is called {}{}", place, quote(wanted[i].name),
         did_you_mean(wanted[i].name, names));
  }
  return chosen;
}

std::int64_t count_elements(const std::vector<TrainedParameter>& parameters) {
  std::int64_t count = 0;
  for (const TrainedParameter& parameter : parameters) {
    std::int64_t elements = parameter.rows;
    for (std::size_t i = 1; i < parameter.shape.size(); ++i) elements *= parameter.shape[i];
    count += elements;
  }
  return count;
}

}  // namespace tigerbot::train
