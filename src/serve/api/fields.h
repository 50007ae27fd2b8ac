#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <string>
#include <string_view>

namespace tigerbot::serve {

using OrderedJson = nlohmann::ordered_json;

/// A request's body as JSON; an ApiError (400) for what is no JSON, is nested deeper than 64 levels
/// or says a key twice.
OrderedJson parse_body(const std::string& body);

/// Strict access to one object of a request. Every error is an ApiError that names the parameter by
/// its path ("messages[0].content"); finish() refuses parameters that nobody asked for. A null
/// counts as absent. The object must outlive this.
class Fields {
 public:
  explicit Fields(const OrderedJson& object, std::string where = "");

  /// The value, or nullptr. Counts as asking for it.
  const OrderedJson* find(std::string_view key);
  const OrderedJson& get(std::string_view key);

  std::optional<bool> boolean(std::string_view key);
  std::optional<std::string> text(std::string_view key);
  std::optional<double> number(std::string_view key, double least, double most);
  std::optional<std::int64_t> integer(std::string_view key, std::int64_t least, std::int64_t most);

  /// Refuses the parameter, if it is there, as not supported here.
  void refuse(std::string_view key, const std::string& why);

  /// An ApiError for a parameter that is not known.
  void finish() const;

  /// "messages[0].content".
  std::string path(std::string_view key) const;

 private:
  const OrderedJson& object_;
  std::string where_;
  std::set<std::string, std::less<>> known_;
};

/// "a string", "an object", ...
std::string_view kind_of(const OrderedJson& value);

}  // namespace tigerbot::serve
