#include <algorithm>

#include "base/error.h"
#include "tokenizer/jinja/syntax_tree.h"

namespace tigerbot::jinja {

namespace {

/// Renders a block into a string of its own.
std::string capture(const Block& block, Context& context) {
  std::string text;
  std::string* outer = context.redirect(&text);
  try {
    execute(block, context);
  } catch (...) {
    context.redirect(outer);
    throw;
  }
  context.redirect(outer);
  return text;
}

/// A scope that ends with the C++ scope it stands in.
class ScopeGuard {
 public:
  explicit ScopeGuard(Context& context) : context_(context) { context_.push_scope(); }
  ~ScopeGuard() { context_.pop_scope(); }
  ScopeGuard(const ScopeGuard&) = delete;
  ScopeGuard& operator=(const ScopeGuard&) = delete;

 private:
  Context& context_;
};

void assign(Context& context, const std::vector<std::string>& targets, const Value& value) {
  if (targets.size() == 1) {
    context.set(targets.front(), value);
    return;
  }
  const std::vector<Value> items = iterate(value);
  if (items.size() != targets.size()) {
    fail("chat template: {} values for {} names", items.size(), targets.size());
  }
  for (std::size_t i = 0; i < targets.size(); ++i) context.set(targets[i], items[i]);
}

/// The `loop` object of one iteration.
Value loop_object(const std::vector<Value>& items, std::size_t i, std::int64_t depth,
                  std::shared_ptr<std::string> last_changed) {
  const auto count = static_cast<std::int64_t>(items.size());
  const auto index = static_cast<std::int64_t>(i);
  auto loop = std::make_shared<Callable>();
  loop->name = "loop";
  loop->call = [](Context&, const Arguments&) -> Value {
    fail("chat template: recursive loops are not supported");
  };
  auto& attributes = loop->attributes.items;
  attributes.emplace_back("index", Value(index + 1));
  attributes.emplace_back("index0", Value(index));
  attributes.emplace_back("first", Value(i == 0));
  attributes.emplace_back("last", Value(index + 1 == count));
  attributes.emplace_back("length", Value(count));
  attributes.emplace_back("revindex", Value(count - index));
  attributes.emplace_back("revindex0", Value(count - index - 1));
  attributes.emplace_back("depth", Value(depth));
  attributes.emplace_back("depth0", Value(depth - 1));
  attributes.emplace_back("previtem", i > 0 ? items[i - 1] : Value(Undefined{"loop.previtem"}));
  attributes.emplace_back("nextitem",
                          i + 1 < items.size() ? items[i + 1] : Value(Undefined{"loop.nextitem"}));
  loop->extent = extent_of({attributes[9].second, attributes[10].second});
  auto cycle = std::make_shared<Callable>();
  cycle->name = "cycle";
  cycle->call = [i](Context&, const Arguments& arguments) {
    if (arguments.positional.empty()) fail("chat template: loop.cycle needs values");
    return arguments.positional[i % arguments.positional.size()];
  };
  attributes.emplace_back("cycle", Value(std::shared_ptr<const Callable>(std::move(cycle))));
  auto changed = std::make_shared<Callable>();
  changed->name = "changed";
  changed->call = [last = std::move(last_changed)](Context&, const Arguments& arguments) {
    // Values are kept as text: holding them could tie a knot that is never freed.
    std::string now = ".";
    for (const Value& value : arguments.positional) now += value.repr() + ",";
    const bool differs = now != *last;
    *last = std::move(now);
    return Value(differs);
  };
  attributes.emplace_back("changed", Value(std::shared_ptr<const Callable>(std::move(changed))));
  return Value(std::shared_ptr<const Callable>(std::move(loop)));
}

}  // namespace

Flow execute(const Block& block, Context& context) {
  for (const auto& statement : block) {
    context.charge(1);
    const Flow flow = statement->execute(context);
    if (flow != Flow::kNext) return flow;
  }
  return Flow::kNext;
}

Flow Text::execute(Context& context) const {
  context.charge(text.size());
  context.output() += text;
  return Flow::kNext;
}

Flow Output::execute(Context& context) const {
  const Value value = expression->evaluate(context);
  context.charge(static_cast<std::size_t>(value.extent().nodes));
  const std::string text = value.to_string();
  context.charge(text.size());
  context.output() += text;
  return Flow::kNext;
}

Flow If::execute(Context& context) const {
  for (const auto& [condition, block] : branches) {
    if (condition->evaluate(context).truthy()) return jinja::execute(block, context);
  }
  return jinja::execute(otherwise, context);
}

Flow For::execute(Context& context) const {
  const Value iterated = iterable->evaluate(context);
  if (iterated.is_string()) context.charge(iterated.as_string().size() * sizeof(Value));
  std::vector<Value> items = iterate(iterated);
  context.charge(items.size() * sizeof(Value));
  if (condition) {
    std::vector<Value> kept;
    for (Value& item : items) {
      const ScopeGuard scope(context);
      assign(context, targets, item);
      if (condition->evaluate(context).truthy()) kept.push_back(std::move(item));
    }
    items = std::move(kept);
  }
  if (items.empty()) {
    const ScopeGuard scope(context);
    return jinja::execute(otherwise, context);
  }
  const Value outer = context.lookup("loop");
  std::int64_t depth = 1;
  if (outer.is_callable()) {
    if (const Value* value = outer.as_callable().attributes.find(Value("depth"))) {
      depth = value->as_integer() + 1;
    }
  }
  const auto last_changed = std::make_shared<std::string>();
  for (std::size_t i = 0; i < items.size(); ++i) {
    context.charge(32);
    const ScopeGuard scope(context);
    context.set("loop", loop_object(items, i, depth, last_changed));
    assign(context, targets, items[i]);
    if (jinja::execute(body, context) == Flow::kBreak) break;
  }
  return Flow::kNext;
}

Flow Set::execute(Context& context) const {
  Value result;
  if (value) {
    result = value->evaluate(context);
  } else {
    const ScopeGuard scope(context);
    result = Value(capture(body, context));
    for (const auto& filter : filters) result = filter->apply(context, result);
  }
  if (attribute.empty()) {
    assign(context, targets, result);
    return Flow::kNext;
  }
  const Value space = context.lookup(targets.front());
  if (!space.is_namespace()) {
    fail("chat template: only a namespace's attributes can be set, and \"{}\" is {}",
         targets.front(), space.type_name());
  }
  context.charge(space.as_namespace().attributes.items.size());
  space.as_namespace().attributes.set(Value(attribute), std::move(result));
  return Flow::kNext;
}

Value Macro::make(Context& context) const {
  auto callable = std::make_shared<Callable>();
  callable->name = name;
  callable->attributes.items.emplace_back("name", Value(name));
  const std::size_t depth = context.depth();
  callable->call = [this, depth](Context& at_call, const Arguments& arguments) {
    const MacroFrame frame(at_call, depth);
    if (arguments.positional.size() > parameters.size()) {
      fail("chat template: macro \"{}\" takes {} arguments, not {}", name, parameters.size(),
           arguments.positional.size());
    }
    for (const auto& argument : arguments.keyword) {
      const std::string& key = argument.first;
      const bool known =
          key == "caller" || std::any_of(parameters.begin(), parameters.end(),
                                         [&](const auto& p) { return p.first == key; });
      if (!known) fail("chat template: macro \"{}\" has no parameter \"{}\"", name, key);
      if (key == "caller") at_call.set("caller", argument.second);
    }
    for (std::size_t i = 0; i < parameters.size(); ++i) {
      const auto& [parameter, otherwise] = parameters[i];
      if (const Value* value = arguments.find(i, parameter)) {
        at_call.set(parameter, *value);
      } else if (otherwise) {
        at_call.set(parameter, otherwise->evaluate(at_call));
      } else {
        at_call.set(parameter, Value(Undefined{parameter}));
      }
    }
    return Value(capture(body, at_call));
  };
  return Value(std::shared_ptr<const Callable>(std::move(callable)));
}

Flow Macro::execute(Context& context) const {
  context.set(name, make(context));
  return Flow::kNext;
}

Flow CallBlock::execute(Context& context) const {
  Arguments arguments = call->arguments.evaluate(context);
  arguments.keyword.emplace_back("caller", caller->make(context));
  const Value function = call->callee->evaluate(context);
  if (!function.is_callable()) {
    fail("chat template: {} can't be called", function.type_name());
  }
  const std::string text = function.as_callable().call(context, arguments).to_string();
  context.charge(text.size());
  context.output() += text;
  return Flow::kNext;
}

Flow FilterBlock::execute(Context& context) const {
  const ScopeGuard scope(context);
  Value value(capture(body, context));
  for (const auto& filter : filters) value = filter->apply(context, value);
  context.output() += value.to_string();
  return Flow::kNext;
}

Flow Group::execute(Context& context) const {
  if (!has_scope) return jinja::execute(body, context);
  std::vector<Value> values;
  for (const auto& [name, expression] : names) values.push_back(expression->evaluate(context));
  const ScopeGuard scope(context);
  for (std::size_t i = 0; i < names.size(); ++i) context.set(names[i].first, values[i]);
  return jinja::execute(body, context);
}

}  // namespace tigerbot::jinja
