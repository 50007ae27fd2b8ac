#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tokenizer/jinja/context.h"
#include "tokenizer/jinja/value.h"

namespace tigerbot::jinja {

/// Applies a filter; an unknown name is an error.
Value apply_filter(Context& context, const std::string& name, const Value& input,
                   const Arguments& arguments);
bool is_filter(std::string_view name);

/// Whether a value passes a test; an unknown name is an error.
bool apply_test(Context& context, const std::string& name, const Value& input,
                const Arguments& arguments);
bool is_test(std::string_view name);

/// Calls a method of a string, list or dict; nothing where the type has no such method.
std::optional<Value> call_method(Context& context, const Value& object, const std::string& name,
                                 const Arguments& arguments);

/// `object.name` and `object[name]`: an item of a dict, list or string, or undefined.
Value get_attribute(const Value& object, const std::string& name);
Value get_item(const Value& object, const Value& key);

/// range, dict, namespace, raise_exception and strftime_now, which takes `now` (seconds since 1970,
/// shown in local time) or the clock.
std::vector<std::pair<std::string, Value>> global_functions(std::optional<std::int64_t> now);

}  // namespace tigerbot::jinja
