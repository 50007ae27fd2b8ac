#include <map>

#include "base/error.h"
#include "tokenizer/jinja/builtins.h"
#include "tokenizer/jinja/text.h"

namespace tigerbot::jinja {

namespace {

using TestFunction = bool (*)(const Value&, const Value&);

std::int64_t need_integer(const Value& value) {
  if (!value.is_integer() && !value.is_bool()) {
    fail("chat template: a test needs an integer, not {}", value.type_name());
  }
  return value.as_integer();
}

bool is_in(const Value& value, const Value& container) {
  if (container.is_string()) {
    return value.is_string() && container.as_string().find(value.as_string()) != std::string::npos;
  }
  for (const Value& item : iterate(container)) {
    if (item == value) return true;
  }
  return false;
}

bool is_same(const Value& a, const Value& b) {
  // Of what templates compare by identity, only constants mean anything.
  return a.type_name() == b.type_name() && a == b;
}

bool divides(const Value& a, const Value& b) {
  const std::int64_t divisor = need_integer(b);
  if (divisor == 0) fail("chat template: division by zero");
  return divisor == -1 || need_integer(a) % divisor == 0;
}

const std::map<std::string, TestFunction, std::less<>>& tests() {
  using V = const Value&;
  static const std::map<std::string, TestFunction, std::less<>> table = {
      {"defined", [](V a, V) { return !a.is_undefined(); }},
      {"undefined", [](V a, V) { return a.is_undefined(); }},
      {"none", [](V a, V) { return a.is_none(); }},
      {"boolean", [](V a, V) { return a.is_bool(); }},
      {"true", [](V a, V) { return a.is_bool() && a.as_bool(); }},
      {"false", [](V a, V) { return a.is_bool() && !a.as_bool(); }},
      {"integer", [](V a, V) { return a.is_integer(); }},
      {"float", [](V a, V) { return a.is_float(); }},
      {"number", [](V a, V) { return a.is_number(); }},
      {"string", [](V a, V) { return a.is_string(); }},
      {"mapping", [](V a, V) { return a.is_dict(); }},
      {"iterable",
       [](V a, V) { return a.is_string() || a.is_list() || a.is_dict() || a.is_undefined(); }},
      {"sequence",
       [](V a, V) { return a.is_string() || a.is_list() || a.is_dict() || a.is_undefined(); }},
      {"callable", [](V a, V) { return a.is_callable(); }},
      {"odd", [](V a, V) { return need_integer(a) % 2 != 0; }},
      {"even", [](V a, V) { return need_integer(a) % 2 == 0; }},
      {"divisibleby", divides},
      {"eq", [](V a, V b) { return a == b; }},
      {"equalto", [](V a, V b) { return a == b; }},
      {"ne", [](V a, V b) { return !(a == b); }},
      {"lt", [](V a, V b) { return less(a, b); }},
      {"lessthan", [](V a, V b) { return less(a, b); }},
      {"le", [](V a, V b) { return less(a, b) || a == b; }},
      {"gt", [](V a, V b) { return less(b, a); }},
      {"greaterthan", [](V a, V b) { return less(b, a); }},
      {"ge", [](V a, V b) { return less(b, a) || a == b; }},
      {"in", is_in},
      {"sameas", is_same},
      {"lower", [](V a, V) { return a.is_string() && a.as_string() == to_lower(a.as_string()); }},
      {"upper", [](V a, V) { return a.is_string() && a.as_string() == to_upper(a.as_string()); }},
      {"filter", [](V a, V) { return a.is_string() && is_filter(a.as_string()); }},
      {"test", [](V a, V) { return a.is_string() && is_test(a.as_string()); }},
      {"escaped", [](V, V) { return false; }},
  };
  return table;
}

/// The tests that compare with something.
bool takes_argument(std::string_view name) {
  static constexpr std::string_view kNames[] = {"divisibleby", "eq",       "equalto", "ne",
                                                "lt",          "lessthan", "le",      "greaterthan",
                                                "gt",          "ge",       "in",      "sameas"};
  for (const std::string_view known : kNames) {
    if (known == name) return true;
  }
  return false;
}

/// selectattr and its kin also know the tests by their signs.
std::string spelled_out(const std::string& name) {
  static const std::map<std::string, std::string, std::less<>> kSigns = {
      {"==", "eq"}, {"!=", "ne"}, {"<", "lt"}, {"<=", "le"}, {">", "gt"}, {">=", "ge"}};
  const auto sign = kSigns.find(name);
  return sign == kSigns.end() ? name : sign->second;
}

}  // namespace

bool is_test(std::string_view name) { return tests().find(name) != tests().end(); }

bool apply_test(Context& context, const std::string& name, const Value& input,
                const Arguments& arguments) {
  const std::string known = spelled_out(name);
  const auto test = tests().find(known);
  if (test == tests().end()) fail("chat template: no test is called \"{}\"", name);
  context.charge(2);
  if (takes_argument(known) != !arguments.positional.empty()) {
    fail("chat template: the test \"{}\" takes {}", name,
         takes_argument(known) ? "one argument" : "no arguments");
  }
  if (arguments.positional.empty()) return test->second(input, Value());
  context.charge(static_cast<std::size_t>(arguments.positional.front().extent().nodes));
  return test->second(input, arguments.positional.front());
}

}  // namespace tigerbot::jinja
