#include "tokenizer/jinja/parser.h"

#include <algorithm>
#include <charconv>
#include <cstdlib>

#include "base/error.h"
#include "tokenizer/jinja/builtins.h"
#include "tokenizer/jinja/lexer.h"

namespace tigerbot::jinja {

namespace {

using Kind = Token::Kind;

constexpr int kMaxHeight = 200;   // of an expression
constexpr int kMaxNesting = 100;  // of blocks and brackets

class Parser {
 public:
  explicit Parser(std::string_view source) : tokens_(tokenize(source)) {}

  Block run() {
    Block block = body({});
    return block;
  }

 private:
  const Token& now() const { return tokens_[position_]; }
  const Token& ahead() const { return tokens_[std::min(position_ + 1, tokens_.size() - 1)]; }

  [[noreturn]] void error(const std::string& what) const {
    fail("chat template: line {}: {}", now().line, what);
  }
  std::string shown() const {
    return now().kind == Kind::kEnd ? "the end of the template" : "\"" + now().text + "\"";
  }

  bool is_operator(std::string_view text) const {
    return now().kind == Kind::kOperator && now().text == text;
  }
  bool is_name(std::string_view text) const {
    return now().kind == Kind::kName && now().text == text;
  }
  bool accept_operator(std::string_view text) {
    if (!is_operator(text)) return false;
    ++position_;
    return true;
  }
  bool accept_name(std::string_view text) {
    if (!is_name(text)) return false;
    ++position_;
    return true;
  }
  void expect_operator(std::string_view text) {
    if (!accept_operator(text)) error(fmt::format("expected \"{}\" but found {}", text, shown()));
  }
  void expect(Kind kind, std::string_view text) {
    if (now().kind != kind) error(fmt::format("expected \"{}\" but found {}", text, shown()));
    ++position_;
  }
  std::string expect_identifier() {
    if (now().kind != Kind::kName) error("expected a name but found " + shown());
    return tokens_[position_++].text;
  }

  /// Counts how deep brackets and blocks nest, so that the parser's own recursion is bounded.
  class Nesting {
   public:
    explicit Nesting(Parser& parser) : parser_(parser) {
      if (++parser_.nesting_ > kMaxNesting) {
        --parser_.nesting_;
        parser_.error(fmt::format("nested more than {} deep", kMaxNesting));
      }
    }
    ~Nesting() { --parser_.nesting_; }
    Nesting(const Nesting&) = delete;
    Nesting& operator=(const Nesting&) = delete;

   private:
    Parser& parser_;
  };

  /// A finished node, one higher than its highest child.
  template <typename Node>
  ExpressionPointer finish(std::unique_ptr<Node> node, int children) const {
    node->height = children + 1;
    if (node->height > kMaxHeight) {
      error(fmt::format("an expression of more than {} levels", kMaxHeight));
    }
    return node;
  }

  static int height_of(const ExpressionPointer& node) { return node ? node->height : 0; }
  static int height_of(const ArgumentList& arguments) {
    int height = 0;
    for (const auto& argument : arguments.positional) {
      height = std::max(height, argument->height);
    }
    for (const auto& [name, argument] : arguments.keyword) {
      height = std::max(height, argument->height);
    }
    return height;
  }

  // --- Statements --------------------------------------------------------------------------------

  /// Statements up to one of the block tags in `ends`, whose name is left to read, or to the end of
  /// the template where there are none.
  Block body(const std::vector<std::string_view>& ends) {
    const Nesting nesting(*this);
    Block block;
    while (true) {
      switch (now().kind) {
        case Kind::kText: {
          auto node = std::make_unique<Text>();
          node->text = tokens_[position_++].text;
          block.push_back(std::move(node));
          break;
        }
        case Kind::kVariableBegin: {
          ++position_;
          auto node = std::make_unique<Output>();
          node->expression = tuple_or_expression();
          expect(Kind::kVariableEnd, "}}");
          block.push_back(std::move(node));
          break;
        }
        case Kind::kBlockBegin: {
          if (ahead().kind == Kind::kName &&
              std::find(ends.begin(), ends.end(), ahead().text) != ends.end()) {
            ++position_;
            return block;
          }
          ++position_;
          block.push_back(statement());
          break;
        }
        default:
          if (!ends.empty()) {
            error(fmt::format("a block is never closed: {{% {} %}} is missing", ends.back()));
          }
          return block;
      }
    }
  }

  void end_tag() { expect(Kind::kBlockEnd, "%}"); }
  void end_tag(std::string_view name) {
    if (!accept_name(name)) error(fmt::format("expected {} but found {}", name, shown()));
    end_tag();
  }

  std::unique_ptr<const Statement> statement() {
    const std::string keyword = expect_identifier();
    if (keyword == "if") return if_statement();
    if (keyword == "for") return for_statement();
    if (keyword == "set") return set_statement();
    if (keyword == "macro") return macro_statement();
    if (keyword == "call") return call_statement();
    if (keyword == "filter") return filter_statement();
    if (keyword == "with") return with_statement();
    if (keyword == "generation") {
      auto node = std::make_unique<Group>();
      end_tag();
      node->body = body({"endgeneration"});
      end_tag("endgeneration");
      return node;
    }
    if (keyword == "break" || keyword == "continue") {
      if (loops_ == 0) error(keyword + " outside of a loop");
      auto node = std::make_unique<Jump>();
      node->flow = keyword == "break" ? Flow::kBreak : Flow::kContinue;
      end_tag();
      return node;
    }
    error(fmt::format("\"{}\" is not a block of chat templates", keyword));
  }

  std::unique_ptr<const Statement> if_statement() {
    auto node = std::make_unique<If>();
    ExpressionPointer condition = expression();
    end_tag();
    ++conditionals_;
    while (true) {
      Block then = body({"elif", "else", "endif"});
      node->branches.emplace_back(std::move(condition), std::move(then));
      if (accept_name("elif")) {
        condition = expression();
        end_tag();
        continue;
      }
      if (accept_name("else")) {
        end_tag();
        node->otherwise = body({"endif"});
      }
      --conditionals_;
      end_tag("endif");
      return node;
    }
  }

  std::vector<std::string> targets(std::string_view until) {
    std::vector<std::string> names;
    const bool bracketed = accept_operator("(");
    do {
      if (!names.empty() && (is_name(until) || is_operator(")"))) break;
      names.push_back(expect_identifier());
    } while (accept_operator(","));
    if (bracketed) expect_operator(")");
    return names;
  }

  std::unique_ptr<const Statement> for_statement() {
    auto node = std::make_unique<For>();
    node->targets = targets("in");
    if (!accept_name("in")) error("expected \"in\" but found " + shown());
    node->iterable = tuple_or_expression(/*conditional=*/false);
    if (accept_name("if")) node->condition = expression();
    if (is_name("recursive")) error("recursive loops are not supported");
    end_tag();
    ++loops_;
    node->body = body({"else", "endfor"});
    --loops_;
    if (accept_name("else")) {
      end_tag();
      node->otherwise = body({"endfor"});
    }
    end_tag("endfor");
    return node;
  }

  std::unique_ptr<const Statement> set_statement() {
    auto node = std::make_unique<Set>();
    node->targets = targets("=");
    if (accept_operator(".")) {
      if (node->targets.size() != 1) error("an attribute can't be set beside other names");
      node->attribute = expect_identifier();
    }
    if (accept_operator("=")) {
      node->value = tuple_or_expression();
      end_tag();
      return node;
    }
    if (node->targets.size() != 1) error("expected \"=\" but found " + shown());
    while (accept_operator("|")) node->filters.push_back(filter(nullptr));
    end_tag();
    node->body = body({"endset"});
    end_tag("endset");
    return node;
  }

  std::vector<std::pair<std::string, ExpressionPointer>> parameters() {
    std::vector<std::pair<std::string, ExpressionPointer>> result;
    expect_operator("(");
    while (!accept_operator(")")) {
      if (!result.empty()) expect_operator(",");
      if (accept_operator(")")) break;
      std::string name = expect_identifier();
      ExpressionPointer value;
      if (accept_operator("=")) value = expression();
      result.emplace_back(std::move(name), std::move(value));
    }
    return result;
  }

  /// A macro's body stands in no loop of its surroundings.
  Block macro_body(std::string_view end) {
    const int loops = std::exchange(loops_, 0);
    Block block = body({end});
    loops_ = loops;
    return block;
  }

  std::unique_ptr<const Statement> macro_statement() {
    auto node = std::make_unique<Macro>();
    node->name = expect_identifier();
    node->parameters = parameters();
    end_tag();
    node->body = macro_body("endmacro");
    end_tag("endmacro");
    return node;
  }

  std::unique_ptr<const Statement> call_statement() {
    auto node = std::make_unique<CallBlock>();
    auto caller = std::make_unique<Macro>();
    caller->name = "caller";
    if (is_operator("(")) caller->parameters = parameters();
    ExpressionPointer called = expression();
    const auto* call = dynamic_cast<const Call*>(called.get());
    if (call == nullptr) error("a call block needs a call");
    called.release();
    node->call.reset(call);
    end_tag();
    caller->body = macro_body("endcall");
    end_tag("endcall");
    node->caller = std::move(caller);
    return node;
  }

  std::unique_ptr<const Statement> filter_statement() {
    auto node = std::make_unique<FilterBlock>();
    do {
      node->filters.push_back(filter(nullptr));
    } while (accept_operator("|"));
    end_tag();
    node->body = body({"endfilter"});
    end_tag("endfilter");
    return node;
  }

  std::unique_ptr<const Statement> with_statement() {
    auto node = std::make_unique<Group>();
    node->has_scope = true;
    while (now().kind == Kind::kName) {
      std::string name = expect_identifier();
      expect_operator("=");
      node->names.emplace_back(std::move(name), expression());
      if (!accept_operator(",")) break;
    }
    end_tag();
    node->body = body({"endwith"});
    end_tag("endwith");
    return node;
  }

  // --- Expressions, loosest first ----------------------------------------------------------------

  ExpressionPointer tuple_or_expression(bool conditional = true) {
    ExpressionPointer first = conditional ? expression() : disjunction();
    if (!is_operator(",")) return first;
    auto tuple = std::make_unique<ListLiteral>();
    tuple->is_tuple = true;
    int height = first->height;
    tuple->items.push_back(std::move(first));
    while (accept_operator(",")) {
      if (now().kind == Kind::kBlockEnd || now().kind == Kind::kVariableEnd || is_operator(")")) {
        break;
      }
      tuple->items.push_back(conditional ? expression() : disjunction());
      height = std::max(height, tuple->items.back()->height);
    }
    return finish(std::move(tuple), height);
  }

  ExpressionPointer expression() {
    const Nesting nesting(*this);
    ExpressionPointer result = disjunction();
    while (accept_name("if")) {
      auto node = std::make_unique<Conditional>();
      node->then = std::move(result);
      node->condition = disjunction();
      if (accept_name("else")) node->otherwise = expression();
      const int height =
          std::max({height_of(node->then), height_of(node->condition), height_of(node->otherwise)});
      result = finish(std::move(node), height);
    }
    return result;
  }

  ExpressionPointer binary(std::string op, ExpressionPointer left, ExpressionPointer right) {
    auto node = std::make_unique<Binary>();
    node->op = std::move(op);
    const int height = std::max(left->height, right->height);
    node->left = std::move(left);
    node->right = std::move(right);
    return finish(std::move(node), height);
  }

  ExpressionPointer disjunction() {
    ExpressionPointer left = conjunction();
    while (accept_name("or")) left = binary("or", std::move(left), conjunction());
    return left;
  }

  ExpressionPointer conjunction() {
    ExpressionPointer left = negation();
    while (accept_name("and")) left = binary("and", std::move(left), negation());
    return left;
  }

  ExpressionPointer negation() {
    if (!accept_name("not")) return comparison();
    const Nesting nesting(*this);
    auto node = std::make_unique<Unary>();
    node->op = "not";
    node->operand = negation();
    const int height = node->operand->height;
    return finish(std::move(node), height);
  }

  std::optional<std::string> comparison_operator() {
    static constexpr std::string_view kOperators[] = {"==", "!=", "<", "<=", ">", ">="};
    if (now().kind == Kind::kOperator && std::find(std::begin(kOperators), std::end(kOperators),
                                                   now().text) != std::end(kOperators)) {
      return tokens_[position_++].text;
    }
    if (accept_name("in")) return "in";
    if (is_name("not") && ahead().kind == Kind::kName && ahead().text == "in") {
      position_ += 2;
      return "not in";
    }
    return std::nullopt;
  }

  ExpressionPointer comparison() {
    ExpressionPointer first = sum();
    auto op = comparison_operator();
    if (!op) return first;
    auto node = std::make_unique<Comparison>();
    int height = first->height;
    node->first = std::move(first);
    for (; op; op = comparison_operator()) {
      node->rest.emplace_back(*op, sum());
      height = std::max(height, node->rest.back().second->height);
    }
    return finish(std::move(node), height);
  }

  /// One of these operators, read.
  std::optional<std::string> one_of(std::initializer_list<std::string_view> operators) {
    for (const std::string_view op : operators) {
      if (accept_operator(op)) return std::string(op);
    }
    return std::nullopt;
  }

  ExpressionPointer sum() {
    ExpressionPointer left = concatenation();
    while (auto op = one_of({"+", "-"})) left = binary(*op, std::move(left), concatenation());
    return left;
  }

  ExpressionPointer concatenation() {
    ExpressionPointer left = product();
    while (accept_operator("~")) left = binary("~", std::move(left), product());
    return left;
  }

  ExpressionPointer product() {
    ExpressionPointer left = power();
    while (auto op = one_of({"*", "//", "/", "%"})) left = binary(*op, std::move(left), power());
    return left;
  }

  ExpressionPointer power() {
    ExpressionPointer left = unary();
    while (accept_operator("**")) left = binary("**", std::move(left), unary());
    return left;
  }

  ExpressionPointer unary(bool with_filters = true) {
    ExpressionPointer result;
    if (auto op = one_of({"-", "+"})) {
      const Nesting nesting(*this);
      auto node = std::make_unique<Unary>();
      node->op = *op;
      node->operand = unary(false);
      const int height = node->operand->height;
      result = finish(std::move(node), height);
    } else {
      result = primary();
    }
    result = postfix(std::move(result));
    return with_filters ? filters_and_tests(std::move(result)) : std::move(result);
  }

  ExpressionPointer literal(Value value) {
    auto node = std::make_unique<Literal>();
    node->value = std::move(value);
    return node;
  }

  ExpressionPointer primary() {
    const Nesting nesting(*this);
    const Token& token = now();
    switch (token.kind) {
      case Kind::kName: {
        ++position_;
        const std::string& name = token.text;
        if (name == "true" || name == "True") return literal(Value(true));
        if (name == "false" || name == "False") return literal(Value(false));
        if (name == "none" || name == "None") return literal(Value(nullptr));
        auto node = std::make_unique<Name>();
        node->name = name;
        return node;
      }
      case Kind::kString: {
        std::string text;  // neighbouring strings are one
        while (now().kind == Kind::kString) text += tokens_[position_++].text;
        return literal(Value(std::move(text)));
      }
      case Kind::kInteger: {
        std::int64_t number = 0;
        const char* end = token.text.data() + token.text.size();
        const auto [stop, status] = std::from_chars(token.text.data(), end, number);
        if (status != std::errc() || stop != end) error("a number too large: " + token.text);
        ++position_;
        return literal(Value(number));
      }
      case Kind::kFloat:
        ++position_;
        return literal(Value(std::strtod(token.text.c_str(), nullptr)));
      case Kind::kOperator:
        if (token.text == "(") return bracketed();
        if (token.text == "[") return list();
        if (token.text == "{") return dict();
        [[fallthrough]];
      default:
        error("expected a value but found " + shown());
    }
  }

  ExpressionPointer bracketed() {
    expect_operator("(");
    if (accept_operator(")")) {
      auto empty = std::make_unique<ListLiteral>();
      empty->is_tuple = true;
      return empty;
    }
    ExpressionPointer inner = tuple_or_expression();
    expect_operator(")");
    return inner;
  }

  ExpressionPointer list() {
    expect_operator("[");
    auto node = std::make_unique<ListLiteral>();
    int height = 0;
    while (!accept_operator("]")) {
      if (!node->items.empty()) expect_operator(",");
      if (accept_operator("]")) break;
      node->items.push_back(expression());
      height = std::max(height, node->items.back()->height);
    }
    return finish(std::move(node), height);
  }

  ExpressionPointer dict() {
    expect_operator("{");
    auto node = std::make_unique<DictLiteral>();
    int height = 0;
    while (!accept_operator("}")) {
      if (!node->items.empty()) expect_operator(",");
      if (accept_operator("}")) break;
      ExpressionPointer key = expression();
      expect_operator(":");
      ExpressionPointer value = expression();
      height = std::max({height, key->height, value->height});
      node->items.emplace_back(std::move(key), std::move(value));
    }
    return finish(std::move(node), height);
  }

  ExpressionPointer postfix(ExpressionPointer object) {
    while (true) {
      if (accept_operator(".")) {
        if (now().kind == Kind::kInteger) {
          auto node = std::make_unique<Subscript>();
          node->key = primary();
          const int height = object->height;
          node->object = std::move(object);
          object = finish(std::move(node), height);
          continue;
        }
        auto node = std::make_unique<Attribute>();
        node->name = expect_identifier();
        const int height = object->height;
        node->object = std::move(object);
        object = finish(std::move(node), height);
      } else if (is_operator("[")) {
        object = subscript(std::move(object));
      } else if (is_operator("(")) {
        auto node = std::make_unique<Call>();
        node->arguments = arguments();
        const int height = std::max(object->height, height_of(node->arguments));
        node->callee = std::move(object);
        object = finish(std::move(node), height);
      } else {
        return object;
      }
    }
  }

  ExpressionPointer subscript(ExpressionPointer object) {
    expect_operator("[");
    ExpressionPointer start;
    if (!is_operator(":")) start = tuple_or_expression();
    if (accept_operator("]")) {
      auto node = std::make_unique<Subscript>();
      const int height = std::max(object->height, start->height);
      node->object = std::move(object);
      node->key = std::move(start);
      return finish(std::move(node), height);
    }
    auto node = std::make_unique<Slice>();
    expect_operator(":");
    node->start = std::move(start);
    if (!is_operator(":") && !is_operator("]")) node->stop = expression();
    if (accept_operator(":") && !is_operator("]")) node->step = expression();
    expect_operator("]");
    const int height = std::max(
        {object->height, height_of(node->start), height_of(node->stop), height_of(node->step)});
    node->object = std::move(object);
    return finish(std::move(node), height);
  }

  ArgumentList arguments() {
    ArgumentList result;
    expect_operator("(");
    bool first = true;
    while (!accept_operator(")")) {
      if (!first) expect_operator(",");
      first = false;
      if (accept_operator(")")) break;
      if (is_operator("*") || is_operator("**")) error("starred arguments are not supported");
      if (now().kind == Kind::kName && ahead().kind == Kind::kOperator && ahead().text == "=") {
        std::string name = expect_identifier();
        ++position_;
        result.keyword.emplace_back(std::move(name), expression());
      } else {
        if (!result.keyword.empty()) error("a positional argument after one by keyword");
        result.positional.push_back(expression());
      }
    }
    return result;
  }

  std::unique_ptr<const Filter> filter(ExpressionPointer input) {
    auto node = std::make_unique<Filter>();
    node->name = expect_identifier();
    // As in jinja2, a name that a conditional branch may never reach fails only when it is reached.
    if (conditionals_ == 0 && !is_filter(node->name)) {
      error(fmt::format("no filter is called \"{}\"", node->name));
    }
    if (is_operator("(")) node->arguments = arguments();
    node->height = std::max(height_of(input), height_of(node->arguments)) + 1;
    if (node->height > kMaxHeight) {
      error(fmt::format("an expression of more than {} levels", kMaxHeight));
    }
    node->input = std::move(input);
    return node;
  }

  ExpressionPointer filters_and_tests(ExpressionPointer value) {
    while (true) {
      if (accept_operator("|")) {
        value = filter(std::move(value));
      } else if (accept_name("is")) {
        value = test(std::move(value));
      } else if (is_operator(".") || is_operator("[") || is_operator("(")) {
        value = postfix(std::move(value));
      } else {
        return value;
      }
    }
  }

  ExpressionPointer test(ExpressionPointer input) {
    auto node = std::make_unique<Test>();
    node->negated = accept_name("not");
    node->name = expect_identifier();
    if (conditionals_ == 0 && !is_test(node->name)) {
      error(fmt::format("no test is called \"{}\"", node->name));
    }
    if (is_operator("(")) {
      node->arguments = arguments();
    } else if (begins_argument()) {
      node->arguments.positional.push_back(postfix(primary()));
    }
    const int height = std::max(input->height, height_of(node->arguments));
    node->input = std::move(input);
    return finish(std::move(node), height);
  }

  /// A test's one argument may stand without brackets: `x is divisibleby 3`.
  bool begins_argument() const {
    switch (now().kind) {
      case Kind::kName: {
        static constexpr std::string_view kKeywords[] = {"else", "or",  "and", "is",
                                                         "in",   "not", "if",  "recursive"};
        return std::find(std::begin(kKeywords), std::end(kKeywords), now().text) ==
               std::end(kKeywords);
      }
      case Kind::kString:
      case Kind::kInteger:
      case Kind::kFloat:
        return true;
      case Kind::kOperator:
        return now().text == "[" || now().text == "{";
      default:
        return false;
    }
  }

  std::vector<Token> tokens_;
  std::size_t position_ = 0;
  int nesting_ = 0;
  int loops_ = 0;
  int conditionals_ = 0;  // if blocks around this place
};

}  // namespace

Block parse(std::string_view source) { return Parser(source).run(); }

}  // namespace tigerbot::jinja
