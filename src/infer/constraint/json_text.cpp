#include "infer/constraint/json_text.h"

#include "infer/constraint/code_points.h"
#include "infer/constraint/numbers.h"

namespace tigerbot::constraint {

namespace {

constexpr std::int64_t kMaxIndentSpaces = 64;
constexpr std::int64_t kMaxIndentTabs = 16;

/// \uXXXX; the halves of a surrogate pair come together.
ExprId unicode_escape(ExpressionPool& pool) {
  const auto set = [&](std::string_view digits) {
    std::vector<ExprId> parts;
    for (const char digit : digits) parts.push_back(pool.byte(static_cast<unsigned char>(digit)));
    return pool.either(parts);
  };
  const ExprId hex = set("0123456789abcdefABCDEF");
  const ExprId three = pool.repeat(hex, 3, 3);
  const ExprId two = pool.repeat(hex, 2, 2);
  const ExprId plane = pool.either({pool.concat(set("0123456789abcefABCEF"), three),
                                    pool.concat({set("dD"), set("01234567"), two})});
  const ExprId high = pool.concat({set("dD"), set("89abAB"), two});
  const ExprId low = pool.concat({set("dD"), set("cdefCDEF"), two});
  return pool.concat(pool.literal("\\u"),
                     pool.either({plane, pool.concat({high, pool.literal("\\u"), low})}));
}

}  // namespace

JsonText::JsonText(Grammar& grammar) : grammar_(grammar), pool_(*grammar.pool) {
  const ExprId space = pool_.byte(' ');
  const ExprId indent = pool_.either({pool_.repeat(space, 0, kMaxIndentSpaces),
                                      pool_.repeat(pool_.byte('\t'), 1, kMaxIndentTabs)});
  gap = pool_.either({kEmpty, space, pool_.concat(pool_.byte('\n'), indent)});
  colon = pool_.concat(pool_.byte(':'), pool_.optional(space));
  comma = pool_.concat(pool_.byte(','), gap);
  CodePoints plain = CodePoints::of(0x20, 0x10FFFF);
  CodePoints special = CodePoints::of('"', '"');
  special.add('\\', '\\');
  plain = plain.without(special);
  std::vector<ExprId> spellings{one_of(pool_, plain, Spelling::kPlain), unicode_escape(pool_)};
  for (const char c : std::string_view("\"\\/bfnrt")) {
    spellings.push_back(pool_.literal(std::string{'\\', c}));
  }
  character = pool_.either(spellings);
  string = quoted(pool_.repeat(character, 0, kUnlimited));
  key_character = one_of(pool_, CodePoints::all(), Spelling::kJson);
}

ExprId JsonText::quoted(ExprId body) const {
  return pool_.concat({pool_.byte('"'), body, pool_.byte('"')});
}

ExprId JsonText::key(std::string_view name) const {
  return pool_.concat(quoted(exactly(pool_, name, Spelling::kJson)), colon);
}

void JsonText::make_any() {
  if (any_value_ != kNothing) return;
  const auto object = static_cast<RuleId>(grammar_.rules.size());
  const auto array = object + 1;
  any_object_ = pool_.container(object, '{');
  any_array_ = pool_.container(array, '[');
  any_value_ = pool_.either({pool_.literal("null"), pool_.literal("true"), pool_.literal("false"),
                             number_expression(pool_, {}), string, any_object_, any_array_});
  const ExprId pair =
      pool_.concat({quoted(pool_.repeat(key_character, 0, kUnlimited)), colon, any_value_});
  const auto list = [&](ExprId item) {
    return pool_.either(
        {gap,
         pool_.concat({gap, item, pool_.repeat(pool_.concat(comma, item), 0, kUnlimited), gap})});
  };
  grammar_.rules.push_back({.opener = '{', .body = list(pair)});
  grammar_.rules.push_back({.opener = '[', .body = list(any_value_)});
}

ExprId JsonText::any_value() {
  make_any();
  return any_value_;
}
ExprId JsonText::any_object() {
  make_any();
  return any_object_;
}
ExprId JsonText::any_array() {
  make_any();
  return any_array_;
}

ExprId JsonText::exactly_value(const nlohmann::ordered_json& value) {
  if (value.is_string()) {
    return quoted(exactly(pool_, value.get_ref<const std::string&>(), Spelling::kJson));
  }
  if (!value.is_structured()) return pool_.literal(value.dump());
  ExprId body = kEmpty;
  for (auto item = value.begin(); item != value.end(); ++item) {
    ExprId part = exactly_value(*item);
    if (value.is_object()) part = pool_.concat(key(item.key()), part);
    body = pool_.concat(
        body, item == value.begin() ? pool_.concat(gap, part) : pool_.concat(comma, part));
  }
  if (!value.empty()) body = pool_.concat(body, gap);
  const auto rule = static_cast<RuleId>(grammar_.rules.size());
  const unsigned char opener = value.is_object() ? '{' : '[';
  grammar_.rules.push_back({.opener = opener, .body = body});
  return pool_.container(rule, opener);
}

}  // namespace tigerbot::constraint
