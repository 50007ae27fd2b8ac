#pragma once

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "tokenizer/jinja/context.h"
#include "tokenizer/jinja/value.h"

namespace tigerbot::jinja {

/// A node that has a value.
class Expression {
 public:
  virtual ~Expression() = default;
  virtual Value evaluate(Context& context) const = 0;
  /// Nodes on the longest way down, bounded by the parser so that recursion is.
  int height = 1;
};
using ExpressionPointer = std::unique_ptr<const Expression>;

/// How a statement ends: on to the next one, or out of a loop's iteration.
enum class Flow { kNext, kBreak, kContinue };

/// A node that writes output or changes names.
class Statement {
 public:
  virtual ~Statement() = default;
  virtual Flow execute(Context& context) const = 0;
};
using Block = std::vector<std::unique_ptr<const Statement>>;

/// Runs statements in order until one leaves the loop.
Flow execute(const Block& block, Context& context);

// --- Expressions ---------------------------------------------------------------------------------

struct Literal : Expression {
  Value value;
  Value evaluate(Context& context) const override;
};

struct Name : Expression {
  std::string name;
  Value evaluate(Context& context) const override;
};

struct ListLiteral : Expression {
  std::vector<ExpressionPointer> items;
  bool is_tuple = false;
  Value evaluate(Context& context) const override;
};

struct DictLiteral : Expression {
  std::vector<std::pair<ExpressionPointer, ExpressionPointer>> items;
  Value evaluate(Context& context) const override;
};

/// `-x`, `+x`, `not x`.
struct Unary : Expression {
  std::string op;
  ExpressionPointer operand;
  Value evaluate(Context& context) const override;
};

/// Arithmetic, `~`, `and`, `or`.
struct Binary : Expression {
  std::string op;
  ExpressionPointer left, right;
  Value evaluate(Context& context) const override;
};

/// `a < b <= c`, `in`, `not in`: true where each neighbouring pair is.
struct Comparison : Expression {
  ExpressionPointer first;
  std::vector<std::pair<std::string, ExpressionPointer>> rest;
  Value evaluate(Context& context) const override;
};

/// `a if condition else b`.
struct Conditional : Expression {
  ExpressionPointer condition, then, otherwise;  // otherwise may be null: undefined
  Value evaluate(Context& context) const override;
};

/// `object.name`.
struct Attribute : Expression {
  ExpressionPointer object;
  std::string name;
  Value evaluate(Context& context) const override;
};

/// `object[key]`.
struct Subscript : Expression {
  ExpressionPointer object, key;
  Value evaluate(Context& context) const override;
};

/// `object[start:stop:step]`, each part optional.
struct Slice : Expression {
  ExpressionPointer object, start, stop, step;
  Value evaluate(Context& context) const override;
};

struct ArgumentList {
  std::vector<ExpressionPointer> positional;
  std::vector<std::pair<std::string, ExpressionPointer>> keyword;
  Arguments evaluate(Context& context) const;
};

/// `callee(arguments)`, where the callee may be a method of a value.
struct Call : Expression {
  ExpressionPointer callee;
  ArgumentList arguments;
  Value evaluate(Context& context) const override;
};

/// `input | filter(arguments)`; without an input, the text of a filter block.
struct Filter : Expression {
  ExpressionPointer input;
  std::string name;
  ArgumentList arguments;
  Value evaluate(Context& context) const override;
  Value apply(Context& context, const Value& value) const;
};

/// `input is [not] test(arguments)`.
struct Test : Expression {
  ExpressionPointer input;
  std::string name;
  ArgumentList arguments;
  bool negated = false;
  Value evaluate(Context& context) const override;
};

// --- Statements ----------------------------------------------------------------------------------

struct Text : Statement {
  std::string text;
  Flow execute(Context& context) const override;
};

/// `{{ expression }}`.
struct Output : Statement {
  ExpressionPointer expression;
  Flow execute(Context& context) const override;
};

struct If : Statement {
  std::vector<std::pair<ExpressionPointer, Block>> branches;
  Block otherwise;
  Flow execute(Context& context) const override;
};

struct For : Statement {
  std::vector<std::string> targets;
  ExpressionPointer iterable;
  ExpressionPointer condition;  // may be null
  Block body, otherwise;
  Flow execute(Context& context) const override;
};

/// `set a = x`, `set a, b = x`, `set space.a = x`, or a block whose output is the value.
struct Set : Statement {
  std::vector<std::string> targets;
  std::string attribute;  // of the one target, a namespace
  ExpressionPointer value;
  Block body;
  std::vector<std::unique_ptr<const Filter>> filters;
  Flow execute(Context& context) const override;
};

struct Macro : Statement {
  std::string name;
  std::vector<std::pair<std::string, ExpressionPointer>> parameters;  // default may be null
  Block body;
  Flow execute(Context& context) const override;
  Value make(Context& context) const;
};

/// `call macro(...)`: the body is what `caller()` gives in the macro.
struct CallBlock : Statement {
  std::unique_ptr<const Macro> caller;
  std::unique_ptr<const Call> call;
  Flow execute(Context& context) const override;
};

struct FilterBlock : Statement {
  std::vector<std::unique_ptr<const Filter>> filters;
  Block body;
  Flow execute(Context& context) const override;
};

/// A block with a scope of its own (`with`), or none (`generation`).
struct Group : Statement {
  std::vector<std::pair<std::string, ExpressionPointer>> names;
  bool has_scope = false;
  Block body;
  Flow execute(Context& context) const override;
};

struct Jump : Statement {
  Flow flow = Flow::kBreak;
  Flow execute(Context&) const override { return flow; }
};

}  // namespace tigerbot::jinja
