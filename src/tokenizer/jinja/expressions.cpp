#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "tokenizer/jinja/builtins.h"
#include "tokenizer/jinja/syntax_tree.h"
#include "tokenizer/jinja/text.h"

namespace tigerbot::jinja {

namespace {

[[noreturn]] void fail_operands(const std::string& op, const Value& a, const Value& b) {
  for (const Value* value : {&a, &b}) {
    if (value->is_undefined()) {
      fail("chat template: \"{}\" is undefined", value->as_undefined().name);
    }
  }
  fail("chat template: can't apply \"{}\" to {} and {}", op, a.type_name(), b.type_name());
}

Value repeat(Context& context, const Value& sequence, std::int64_t times) {
  times = std::max<std::int64_t>(times, 0);
  const auto count = static_cast<std::size_t>(times);
  if (sequence.is_string()) {
    const std::string& text = sequence.as_string();
    std::string result;
    if (text.empty()) return Value(result);
    for (std::size_t i = 0; i < count; ++i) {
      context.charge(text.size() + 1);
      result += text;
    }
    return Value(std::move(result));
  }
  std::vector<Value> items;
  const auto& source = sequence.as_list().items;
  for (std::size_t i = 0; i < count && !source.empty(); ++i) {
    context.charge(source.size() * sizeof(Value));
    items.insert(items.end(), source.begin(), source.end());
  }
  return sequence.as_list().is_tuple ? Value::tuple(std::move(items))
                                     : Value::list(std::move(items));
}

Value integer_arithmetic(const std::string& op, const Value& left, const Value& right) {
  const std::int64_t a = left.as_integer();
  const std::int64_t b = right.as_integer();
  std::int64_t result = 0;
  bool overflows = false;
  if (op == "+") {
    overflows = __builtin_add_overflow(a, b, &result);
  } else if (op == "-") {
    overflows = __builtin_sub_overflow(a, b, &result);
  } else if (op == "*") {
    overflows = __builtin_mul_overflow(a, b, &result);
  } else if (op == "**") {
    if (b < 0) return Value(std::pow(static_cast<double>(a), static_cast<double>(b)));
    result = 1;
    std::int64_t base = a;
    for (std::int64_t e = b; e > 0; e >>= 1) {
      if ((e & 1) != 0) overflows |= __builtin_mul_overflow(result, base, &result);
      if (e > 1) overflows |= __builtin_mul_overflow(base, base, &base);
      if (overflows) break;
    }
  } else {
    if (b == 0) fail("chat template: division by zero");
    if (op == "/") return Value(static_cast<double>(a) / static_cast<double>(b));
    if (a == INT64_MIN && b == -1) {
      overflows = true;
    } else {
      // Python rounds towards minus infinity; the remainder has the divisor's sign.
      const std::int64_t remainder = a % b;
      const bool adjust = remainder != 0 && ((remainder < 0) != (b < 0));
      result = op == "//" ? a / b - (adjust ? 1 : 0) : remainder + (adjust ? b : 0);
    }
  }
  if (overflows) fail("chat template: a number past 64 bits");
  return Value(result);
}

Value float_arithmetic(const std::string& op, double a, double b) {
  if (op == "+") return Value(a + b);
  if (op == "-") return Value(a - b);
  if (op == "*") return Value(a * b);
  if (op == "**") return Value(std::pow(a, b));
  if (b == 0) fail("chat template: division by zero");
  if (op == "/") return Value(a / b);
  if (op == "//") return Value(std::floor(a / b));
  const double remainder = std::fmod(a, b);
  return Value(remainder != 0 && ((remainder < 0) != (b < 0)) ? remainder + b : remainder);
}

/// Python's `text % values` for the conversions s, d, f, r and x without flags but precision.
Value format_percent(Context& context, const std::string& format, const Value& values) {
  std::vector<Value> arguments;
  if (values.is_list() && values.as_list().is_tuple) {
    arguments = values.as_list().items;
  } else {
    arguments = {values};
  }
  return call_method(context, Value(format), "%", Arguments{std::move(arguments), {}}).value();
}

Value arithmetic(Context& context, const std::string& op, const Value& a, const Value& b) {
  if (a.is_number() && b.is_number()) {
    if (a.is_float() || b.is_float()) return float_arithmetic(op, a.as_double(), b.as_double());
    return integer_arithmetic(op, a, b);
  }
  if (op == "+" && a.is_string() && b.is_string()) {
    context.charge(a.as_string().size() + b.as_string().size());
    return Value(a.as_string() + b.as_string());
  }
  if (op == "+" && a.is_list() && b.is_list() && a.as_list().is_tuple == b.as_list().is_tuple) {
    std::vector<Value> items = a.as_list().items;
    items.insert(items.end(), b.as_list().items.begin(), b.as_list().items.end());
    context.charge(items.size() * sizeof(Value));
    return a.as_list().is_tuple ? Value::tuple(std::move(items)) : Value::list(std::move(items));
  }
  if (op == "*") {
    if ((a.is_string() || a.is_list()) && (b.is_integer() || b.is_bool())) {
      return repeat(context, a, b.as_integer());
    }
    if ((b.is_string() || b.is_list()) && (a.is_integer() || a.is_bool())) {
      return repeat(context, b, a.as_integer());
    }
  }
  if (op == "%" && a.is_string()) return format_percent(context, a.as_string(), b);
  fail_operands(op, a, b);
}

bool contains(const Value& container, const Value& item) {
  if (container.is_string()) {
    if (!item.is_string()) fail_operands("in", item, container);
    return container.as_string().find(item.as_string()) != std::string::npos;
  }
  if (container.is_dict()) return container.as_dict().find(item) != nullptr;
  if (container.is_list()) {
    const auto& items = container.as_list().items;
    return std::find(items.begin(), items.end(), item) != items.end();
  }
  if (container.is_undefined()) return false;
  fail_operands("in", item, container);
}

bool compare(const std::string& op, const Value& a, const Value& b) {
  if (op == "==") return a == b;
  if (op == "!=") return !(a == b);
  if (op == "in") return contains(b, a);
  if (op == "not in") return !contains(b, a);
  if (a.is_undefined() || b.is_undefined()) fail_operands(op, a, b);
  if (op == "<") return less(a, b);
  if (op == ">") return less(b, a);
  if (op == "<=") return less(a, b) || a == b;
  return less(b, a) || a == b;
}

/// The bounds of a Python slice over `size` items, as slice.indices() gives them.
struct SliceRange {
  std::int64_t start, stop, step;
};

SliceRange slice_range(const Value& start, const Value& stop, const Value& step,
                       std::int64_t size) {
  const auto integer = [](const Value& value, std::int64_t otherwise) {
    if (value.is_none()) return otherwise;
    if (!value.is_integer() && !value.is_bool()) {
      fail("chat template: a slice needs integers, not {}", value.type_name());
    }
    return value.as_integer();
  };
  SliceRange range{};
  range.step = integer(step, 1);
  if (range.step == 0) fail("chat template: a slice's step can't be zero");
  const bool forward = range.step > 0;
  const std::int64_t low = forward ? 0 : -1;
  const std::int64_t high = forward ? size : size - 1;
  const auto bound = [&](const Value& value, std::int64_t otherwise) {
    if (value.is_none()) return otherwise;
    std::int64_t index = integer(value, 0);
    if (index < 0) index = index < -size ? low : index + size;
    return std::clamp(index, low, high);
  };
  range.start = bound(start, forward ? low : high);
  range.stop = bound(stop, forward ? high : low);
  return range;
}

template <typename Sequence>
Sequence take(const Sequence& source, const SliceRange& range) {
  Sequence result;
  const auto size = static_cast<std::int64_t>(source.size());
  std::int64_t i = range.start;
  while (range.step > 0 ? i < range.stop : i > range.stop) {
    if (i >= 0 && i < size) result.push_back(source[static_cast<std::size_t>(i)]);
    if (__builtin_add_overflow(i, range.step, &i)) break;
  }
  return result;
}

}  // namespace

Value Literal::evaluate(Context&) const { return value; }

Value Name::evaluate(Context& context) const {
  context.charge(1);
  Value value = context.lookup(name);
  if (value.is_string()) context.charge(value.as_string().size() / 16);
  return value;
}

Value ListLiteral::evaluate(Context& context) const {
  std::vector<Value> values;
  values.reserve(items.size());
  for (const auto& item : items) values.push_back(item->evaluate(context));
  context.charge(items.size() * sizeof(Value));
  return is_tuple ? Value::tuple(std::move(values)) : Value::list(std::move(values));
}

Value DictLiteral::evaluate(Context& context) const {
  Dict dict;
  context.charge(items.size() * items.size());
  for (const auto& [key, value] : items) {
    dict.set(key->evaluate(context), value->evaluate(context));
  }
  return Value::dict(std::move(dict));
}

Value Unary::evaluate(Context& context) const {
  const Value value = operand->evaluate(context);
  if (op == "not") return Value(!value.truthy());
  if (!value.is_number()) {
    fail("chat template: can't apply \"{}\" to {}", op, value.type_name());
  }
  if (value.is_float()) return Value(op == "-" ? -value.as_double() : value.as_double());
  if (op == "-") return integer_arithmetic("-", Value(std::int64_t{0}), value);
  return Value(value.as_integer());
}

Value Binary::evaluate(Context& context) const {
  context.charge(1);
  const Value a = left->evaluate(context);
  if (op == "and") return a.truthy() ? right->evaluate(context) : a;
  if (op == "or") return a.truthy() ? a : right->evaluate(context);
  const Value b = right->evaluate(context);
  if (op != "~") return arithmetic(context, op, a, b);
  std::string text = a.to_string();
  text += b.to_string();
  context.charge(text.size());
  return Value(std::move(text));
}

Value Comparison::evaluate(Context& context) const {
  Value left = first->evaluate(context);
  for (const auto& [op, expression] : rest) {
    Value right = expression->evaluate(context);
    context.charge(static_cast<std::size_t>(right.extent().nodes));
    if (!compare(op, left, right)) return Value(false);
    left = std::move(right);
  }
  return Value(true);
}

Value Conditional::evaluate(Context& context) const {
  if (condition->evaluate(context).truthy()) return then->evaluate(context);
  return otherwise ? otherwise->evaluate(context) : Value(Undefined{"the else part"});
}

Value Attribute::evaluate(Context& context) const {
  context.charge(1);
  return get_attribute(object->evaluate(context), name);
}

Value Subscript::evaluate(Context& context) const {
  const Value value = object->evaluate(context);
  if (value.is_string()) context.charge(value.as_string().size());
  return get_item(value, key->evaluate(context));
}

Value Slice::evaluate(Context& context) const {
  const Value value = object->evaluate(context);
  const auto part = [&](const ExpressionPointer& expression) {
    return expression ? expression->evaluate(context) : Value(nullptr);
  };
  const Value from = part(start);
  const Value to = part(stop);
  const Value by = part(step);
  if (value.is_string()) {
    context.charge(value.as_string().size());
    const std::u32string characters = code_points(value.as_string());
    return Value(to_utf8(
        take(characters, slice_range(from, to, by, static_cast<std::int64_t>(characters.size())))));
  }
  if (value.is_list()) {
    const auto& items = value.as_list().items;
    context.charge(items.size() * sizeof(Value));
    std::vector<Value> taken =
        take(items, slice_range(from, to, by, static_cast<std::int64_t>(items.size())));
    return value.as_list().is_tuple ? Value::tuple(std::move(taken))
                                    : Value::list(std::move(taken));
  }
  if (value.is_undefined()) {
    fail("chat template: \"{}\" is undefined", value.as_undefined().name);
  }
  fail("chat template: {} can't be sliced", value.type_name());
}

Arguments ArgumentList::evaluate(Context& context) const {
  Arguments result;
  for (const auto& argument : positional) result.positional.push_back(argument->evaluate(context));
  for (const auto& [name, argument] : keyword) {
    result.keyword.emplace_back(name, argument->evaluate(context));
  }
  return result;
}

Value Call::evaluate(Context& context) const {
  context.charge(8);
  Value function;
  if (const auto* attribute = dynamic_cast<const Attribute*>(callee.get())) {
    const Value object = attribute->object->evaluate(context);
    function = get_attribute(object, attribute->name);
    if (!function.is_callable()) {
      if (auto result =
              call_method(context, object, attribute->name, arguments.evaluate(context))) {
        return *result;
      }
      if (object.is_undefined()) {
        fail("chat template: \"{}\" is undefined", object.as_undefined().name);
      }
      fail("chat template: {} has no method \"{}\"", object.type_name(), attribute->name);
    }
  } else {
    function = callee->evaluate(context);
  }
  if (function.is_undefined()) {
    fail("chat template: \"{}\" is undefined", function.as_undefined().name);
  }
  if (!function.is_callable()) {
    fail("chat template: {} can't be called", function.type_name());
  }
  return function.as_callable().call(context, arguments.evaluate(context));
}

Value Filter::evaluate(Context& context) const { return apply(context, input->evaluate(context)); }

Value Filter::apply(Context& context, const Value& value) const {
  context.charge(8 + static_cast<std::size_t>(value.extent().nodes));
  if (value.is_string()) context.charge(value.as_string().size());
  return apply_filter(context, name, value, arguments.evaluate(context));
}

Value Test::evaluate(Context& context) const {
  const Value value = input->evaluate(context);
  return Value(apply_test(context, name, value, arguments.evaluate(context)) != negated);
}

}  // namespace tigerbot::jinja
