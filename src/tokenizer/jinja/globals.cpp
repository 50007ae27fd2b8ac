#include <array>
#include <ctime>

#include "base/error.h"
#include "tokenizer/jinja/builtins.h"

namespace tigerbot::jinja {

namespace {

Value function(std::string name, std::function<Value(Context&, const Arguments&)> call) {
  auto callable = std::make_shared<Callable>();
  callable->name = std::move(name);
  callable->call = std::move(call);
  return Value(std::shared_ptr<const Callable>(std::move(callable)));
}

Value range(Context& context, const Arguments& arguments) {
  std::int64_t bounds[3] = {0, 0, 1};
  const std::size_t count = arguments.positional.size();
  if (count < 1 || count > 3) fail("chat template: range takes 1 to 3 integers");
  for (std::size_t i = 0; i < count; ++i) {
    if (!arguments.positional[i].is_integer()) fail("chat template: range takes integers");
    bounds[count == 1 ? 1 : i] = arguments.positional[i].as_integer();
  }
  const auto [start, stop, step] = std::to_array(bounds);
  if (step == 0) fail("chat template: range's step can't be zero");
  // As in jinja2's sandbox, a range is not a way to fill memory.
  constexpr std::size_t kMaxRange = 100'000;
  std::vector<Value> items;
  for (std::int64_t i = start; step > 0 ? i < stop : i > stop;) {
    if (items.size() >= kMaxRange) fail("chat template: a range of more than {} items", kMaxRange);
    items.emplace_back(i);
    if (__builtin_add_overflow(i, step, &i)) break;
  }
  context.charge(items.size() * sizeof(Value));
  return Value::list(std::move(items));
}

Value make_dict(Context&, const Arguments& arguments) {
  Dict dict;
  if (!arguments.positional.empty()) {
    const Value& source = arguments.positional.front();
    if (!source.is_dict()) fail("chat template: dict takes a dict and names");
    dict = source.as_dict();
  }
  for (const auto& [key, value] : arguments.keyword) dict.set(Value(key), value);
  return Value::dict(std::move(dict));
}

Value make_namespace(Context& context, const Arguments& arguments) {
  const auto space = context.make_namespace();
  if (!arguments.positional.empty()) {
    const Value& source = arguments.positional.front();
    if (!source.is_dict()) fail("chat template: namespace takes a dict and names");
    space->attributes.items = source.as_dict().items;
  }
  for (const auto& [key, value] : arguments.keyword) space->attributes.set(Value(key), value);
  return Value(space);
}

Value raise_exception(Context&, const Arguments& arguments) {
  fail("chat template: {}",
       arguments.positional.empty() ? "refused" : arguments.positional.front().to_string());
}

Value strftime_now(const Arguments& arguments, std::optional<std::int64_t> fixed) {
  if (arguments.positional.size() != 1 || !arguments.positional.front().is_string()) {
    fail("chat template: strftime_now takes one format");
  }
  const std::string& format = arguments.positional.front().as_string();
  if (format.empty()) return Value("");
  if (format.size() > 1000) fail("chat template: a date format of more than 1000 bytes");
  const std::time_t now = fixed ? static_cast<std::time_t>(*fixed) : std::time(nullptr);
  std::tm local{};
  localtime_r(&now, &local);
  std::string text(format.size() * 64 + 64, '\0');
  text.resize(std::strftime(text.data(), text.size(), format.c_str(), &local));
  return Value(std::move(text));
}

}  // namespace

std::vector<std::pair<std::string, Value>> global_functions(std::optional<std::int64_t> now) {
  return {
      {"range", function("range", range)},
      {"dict", function("dict", make_dict)},
      {"namespace", function("namespace", make_namespace)},
      {"raise_exception", function("raise_exception", raise_exception)},
      {"strftime_now", function("strftime_now",
                                [now](Context&, const Arguments& arguments) {
                                  return strftime_now(arguments, now);
                                })},
  };
}

}  // namespace tigerbot::jinja
