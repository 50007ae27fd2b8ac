#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace tigerbot::jinja {

class Value;
class Context;

/// A name that has no value; it remembers which, for the error if it is used.
struct Undefined {
  std::string name;
};

/// How deep and how large a value is, all that it holds included: what bounds recursion over it. A
/// container past the limits is an error when it is made.
struct Extent {
  std::int32_t depth = 1;
  std::int64_t nodes = 1;
};

/// A Python list or tuple; they differ in how they print.
struct List {
  std::vector<Value> items;
  bool is_tuple = false;
  Extent extent;
};

/// A Python dict: keys keep the order in which they came.
struct Dict {
  std::vector<std::pair<Value, Value>> items;
  Extent extent;

  const Value* find(const Value& key) const;
  void set(const Value& key, Value value);
};

/// `namespace(...)`: the one kind of object whose attributes a template may set.
struct Namespace {
  Dict attributes;
};

/// Arguments of a call: positional first, then by keyword.
struct Arguments {
  std::vector<Value> positional;
  std::vector<std::pair<std::string, Value>> keyword;

  /// The argument at this place or of this name, or null.
  const Value* find(std::size_t place, std::string_view name) const;
};

/// A macro, a method bound to its object, or a global function.
struct Callable {
  std::string name;
  std::function<Value(Context&, const Arguments&)> call;
  /// What a template may read of it (`loop.index`, `caller.name`); may be empty.
  Dict attributes;
  Extent extent;
};

/// A value of the template language, with Python's meaning of truth, equality, order and printing.
class Value {
 public:
  Value() : data_(Undefined{}) {}
  explicit Value(Undefined undefined) : data_(std::move(undefined)) {}
  Value(std::nullptr_t) : data_(nullptr) {}
  Value(bool value) : data_(value) {}
  Value(std::int64_t value) : data_(value) {}
  Value(double value) : data_(value) {}
  Value(std::string value) : data_(std::move(value)) {}
  Value(std::string_view value) : data_(std::string(value)) {}
  Value(const char* value) : data_(std::string(value)) {}
  Value(std::shared_ptr<const List> list) : data_(std::move(list)) {}
  Value(std::shared_ptr<const Dict> dict) : data_(std::move(dict)) {}
  Value(std::shared_ptr<Namespace> space) : data_(std::move(space)) {}
  Value(std::shared_ptr<const Callable> callable) : data_(std::move(callable)) {}

  static Value list(std::vector<Value> items);
  static Value tuple(std::vector<Value> items);
  static Value dict(Dict dict);
  static Value from_json(const nlohmann::ordered_json& json);

  bool is_undefined() const { return std::holds_alternative<Undefined>(data_); }
  bool is_none() const { return std::holds_alternative<std::nullptr_t>(data_); }
  bool is_bool() const { return std::holds_alternative<bool>(data_); }
  bool is_integer() const { return std::holds_alternative<std::int64_t>(data_); }
  bool is_float() const { return std::holds_alternative<double>(data_); }
  bool is_number() const { return is_integer() || is_float() || is_bool(); }
  bool is_string() const { return std::holds_alternative<std::string>(data_); }
  bool is_list() const { return std::holds_alternative<std::shared_ptr<const List>>(data_); }
  bool is_dict() const { return std::holds_alternative<std::shared_ptr<const Dict>>(data_); }
  bool is_namespace() const { return std::holds_alternative<std::shared_ptr<Namespace>>(data_); }
  bool is_callable() const {
    return std::holds_alternative<std::shared_ptr<const Callable>>(data_);
  }

  const Undefined& as_undefined() const { return std::get<Undefined>(data_); }
  bool as_bool() const { return std::get<bool>(data_); }
  const std::string& as_string() const { return std::get<std::string>(data_); }
  const List& as_list() const { return *std::get<std::shared_ptr<const List>>(data_); }
  const Dict& as_dict() const { return *std::get<std::shared_ptr<const Dict>>(data_); }
  Namespace& as_namespace() const { return *std::get<std::shared_ptr<Namespace>>(data_); }
  const Callable& as_callable() const { return *std::get<std::shared_ptr<const Callable>>(data_); }
  /// An integer or a bool as Python's int.
  std::int64_t as_integer() const;
  /// Any number as Python's float.
  double as_double() const;

  Extent extent() const;

  /// Python's truth: empty, zero, none and undefined are false.
  bool truthy() const;
  /// Python's name of the type, for errors: "str", "list", "undefined".
  std::string type_name() const;
  /// Python's str(): what `{{ value }}` prints.
  std::string to_string() const;
  /// Python's repr().
  std::string repr() const;

  friend bool operator==(const Value& a, const Value& b);

 private:
  std::variant<Undefined, std::nullptr_t, bool, std::int64_t, double, std::string,
               std::shared_ptr<const List>, std::shared_ptr<const Dict>, std::shared_ptr<Namespace>,
               std::shared_ptr<const Callable>>
      data_;
};

/// The extent of a container of these values; past the limits it is an error.
Extent extent_of(const std::vector<Value>& items);

/// Python's a < b; values that have no order are an error.
bool less(const Value& a, const Value& b);

/// The items that iteration gives: of a list, a dict's keys, a string's characters; undefined gives
/// none. Anything else is an error.
std::vector<Value> iterate(const Value& value);

/// json.dumps(value, ensure_ascii=False) with Python's separators; indent < 0 writes one line.
std::string to_json(const Value& value, int indent = -1, bool sort_keys = false);

/// How Python prints a float.
std::string format_float(double value);

}  // namespace tigerbot::jinja
