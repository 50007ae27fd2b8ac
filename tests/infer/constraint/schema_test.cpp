#include <gtest/gtest.h>

#include <string>

#include "infer/constraint/matcher.h"

namespace tigerbot::testing {
namespace {

std::string refused(const std::string& text) { return refusal(AnswerFormat::json_schema(text)); }

bool says(const std::string& message, const char* word) {
  return message.find(word) != std::string::npos;
}

TEST(Schema, Types) {
  EXPECT_TRUE(fits(R"({"type": "integer"})", "-12"));
  EXPECT_FALSE(fits(R"({"type": "integer"})", "1.5"));
  EXPECT_TRUE(fits(R"({"type": "number"})", "1.5e3"));
  EXPECT_TRUE(fits(R"({"type": ["null", "boolean"]})", "null"));
  EXPECT_TRUE(fits(R"({"type": ["null", "boolean"]})", "true"));
  EXPECT_FALSE(fits(R"({"type": ["null", "boolean"]})", "0"));
  EXPECT_TRUE(fits("true", R"([1, {"a": "b"}])"));
  EXPECT_TRUE(fits("{}", R"("text")"));
}

TEST(Schema, StringsAreValidJson) {
  Matcher any = schema(R"({"type": "string"})");
  EXPECT_TRUE(any.accepts(R"("a \"quote\" \u00e9 \ud83d\ude00 \/")"));
  EXPECT_FALSE(any.accepts(R"("\ud83d")"));   // half of a pair
  EXPECT_FALSE(any.accepts(R"("\ude00a")"));  // the other half
  EXPECT_FALSE(any.accepts("\"line\nbreak\""));
  EXPECT_FALSE(any.accepts("\"\x80\""));
  EXPECT_FALSE(any.accepts(R"("\x41")"));
}

TEST(Schema, LengthsCountCharacters) {
  Matcher three = schema(R"({"type": "string", "minLength": 2, "maxLength": 3})");
  EXPECT_FALSE(three.accepts(R"("a")"));
  EXPECT_TRUE(three.accepts("\"\xE4\xBD\xA0\xE5\xA5\xBD\""));
  EXPECT_TRUE(three.accepts(R"("\ud83d\ude00ab")"));
  EXPECT_FALSE(three.accepts(R"("abcd")"));
}

TEST(Schema, PatternsHoldWithLengths) {
  Matcher both = schema(R"({"type": "string", "pattern": "^a+$", "maxLength": 3})");
  EXPECT_TRUE(both.accepts(R"("aaa")"));
  EXPECT_FALSE(both.accepts(R"("aaaa")"));
  Matcher part = schema(R"({"type": "string", "pattern": "b"})");
  EXPECT_TRUE(part.accepts(R"("abc")"));
  EXPECT_FALSE(part.accepts(R"("ac")"));
  Matcher quote = schema(R"({"type": "string", "pattern": "^[\"\\n]$"})");
  EXPECT_TRUE(quote.accepts(R"("\"")"));
  EXPECT_TRUE(quote.accepts(R"("\n")"));
}

TEST(Schema, ValuesOfEnumAndConst) {
  Matcher values = schema(R"({"enum": ["a", 1.5, null, [1, {"x": "y"}]]})");
  EXPECT_TRUE(values.accepts(R"("a")"));
  EXPECT_TRUE(values.accepts("1.5"));
  EXPECT_TRUE(values.accepts(R"([1,{"x":"y"}])"));
  EXPECT_TRUE(values.accepts("[\n  1,\n  {\"x\": \"y\"}\n]"));
  EXPECT_FALSE(values.accepts("[1]"));
  EXPECT_TRUE(fits(R"({"type": "string", "enum": ["a", 1]})", R"("a")"));
  EXPECT_FALSE(fits(R"({"type": "string", "enum": ["a", 1]})", "1"));
  EXPECT_TRUE(fits(R"({"const": "x", "minLength": 1})", R"("x")"));
}

TEST(Schema, ObjectsInTheOrderOfTheirProperties) {
  Matcher object = schema(R"({"type": "object", "properties":
      {"b": {"type": "integer"}, "a": {"type": "string"}, "c": {}}, "required": ["b"]})");
  EXPECT_TRUE(object.accepts(R"({"b": 1})"));
  EXPECT_TRUE(object.accepts(R"({"b":1,"a":"x"})"));
  EXPECT_TRUE(object.accepts("{\n  \"b\": 1,\n  \"c\": [true]\n}"));
  EXPECT_FALSE(object.accepts(R"({"a": "x", "b": 1})"));
  EXPECT_FALSE(object.accepts("{}"));
  EXPECT_FALSE(object.accepts(R"({"b": 1, })"));
  EXPECT_FALSE(object.accepts(R"({"b": 1, "d": 2})"));
}

TEST(Schema, AdditionalProperties) {
  Matcher typed = schema(R"({"type": "object", "properties": {"a": {"type": "integer"}},
                             "additionalProperties": {"type": "boolean"}})");
  EXPECT_TRUE(typed.accepts(R"({"a": 1, "x": true, "y": false})"));
  EXPECT_TRUE(typed.accepts(R"({"x": true})"));
  EXPECT_FALSE(typed.accepts(R"({"x": 1})"));
  EXPECT_FALSE(typed.accepts(R"({"x": true, "a": true})"));  // "a" is not an additional one
  EXPECT_FALSE(typed.accepts(R"({"\u0061": true})"));        // nor in another spelling
  EXPECT_TRUE(fits(R"({"type": "object"})", R"({"any": [1]})"));
  EXPECT_FALSE(fits(R"({"type": "object", "additionalProperties": false})", R"({"any": 1})"));
}

TEST(Schema, PatternProperties) {
  Matcher patterns = schema(R"({"type": "object",
      "patternProperties": {"^n_": {"type": "integer"}, "_s$": {"type": ["string", "integer"]}},
      "additionalProperties": false})");
  EXPECT_TRUE(patterns.accepts(R"({"n_a": 1, "b_s": "x"})"));
  EXPECT_FALSE(patterns.accepts(R"({"n_s": "x"})"));  // both apply
  EXPECT_TRUE(patterns.accepts(R"({"n_s": 5})"));
  EXPECT_FALSE(patterns.accepts(R"({"other": 5})"));
}

TEST(Schema, CountsOfProperties) {
  Matcher two = schema(R"({"type": "object", "minProperties": 2, "maxProperties": 2, "properties":
                           {"a": {"const": 1}, "b": {"const": 2}, "c": {"const": 3}}})");
  EXPECT_TRUE(two.accepts(R"({"a": 1, "c": 3})"));
  EXPECT_FALSE(two.accepts(R"({"a": 1})"));
  EXPECT_FALSE(two.accepts(R"({"a": 1, "b": 2, "c": 3})"));
  EXPECT_TRUE(says(refused(R"({"type": "object", "minProperties": 2})"), "minProperties"));
  EXPECT_TRUE(fits(R"({"type": "object", "minProperties": 1})", R"({"x": 0})"));
  EXPECT_FALSE(fits(R"({"type": "object", "minProperties": 1})", "{}"));
}

TEST(Schema, PropertyNames) {
  Matcher names = schema(R"({"type": "object", "propertyNames": {"pattern": "^[a-z]+$"},
                             "additionalProperties": {"type": "integer"}})");
  EXPECT_TRUE(names.accepts(R"({"abc": 1})"));
  EXPECT_FALSE(names.accepts(R"({"Abc": 1})"));
}

TEST(Schema, Arrays) {
  Matcher some = schema(R"({"type": "array", "items": {"type": "integer"}, "minItems": 1,
                            "maxItems": 3})");
  EXPECT_TRUE(some.accepts("[1, 2,3]"));
  EXPECT_FALSE(some.accepts("[]"));
  EXPECT_FALSE(some.accepts("[1,2,3,4]"));
  Matcher tuple = schema(R"({"type": "array", "prefixItems": [{"const": 1}, {"type": "string"}],
                             "items": {"type": "null"}})");
  EXPECT_TRUE(tuple.accepts(R"([1, "x", null, null])"));
  EXPECT_TRUE(tuple.accepts("[1]"));
  EXPECT_FALSE(tuple.accepts(R"([1, 2])"));
  EXPECT_TRUE(fits(R"({"items": [{"const": 1}], "additionalItems": false})", "[1]"));
  EXPECT_FALSE(fits(R"({"items": [{"const": 1}], "additionalItems": false})", "[1, 2]"));
}

TEST(Schema, DistinctItemsOfAnEnum) {
  Matcher set = schema(R"({"type": "array", "items": {"enum": ["a", "b", "c"]},
                           "uniqueItems": true, "minItems": 2})");
  EXPECT_TRUE(set.accepts(R"(["c", "a"])"));
  EXPECT_FALSE(set.accepts(R"(["a", "a"])"));
  EXPECT_FALSE(set.accepts(R"(["a"])"));
  EXPECT_TRUE(says(refused(R"({"type": "array", "items": {"type": "string"},
                               "uniqueItems": true})"),
                   "uniqueItems"));
}

TEST(Schema, ReferencesAndRecursion) {
  Matcher tree = schema(R"({"$ref": "#/$defs/node", "$defs": {"node": {"type": "object",
      "properties": {"value": {"type": "integer"},
                     "children": {"type": "array", "items": {"$ref": "#/$defs/node"}}},
      "required": ["value"]}}})");
  EXPECT_TRUE(tree.accepts(R"({"value": 1, "children": [{"value": 2, "children": []}]})"));
  EXPECT_FALSE(tree.accepts(R"({"value": 1, "children": [{"children": []}]})"));
  EXPECT_TRUE(fits(R"({"$ref": "#item", "$defs": {"x": {"$anchor": "item", "const": 1}}})", "1"));
  EXPECT_TRUE(fits(R"({"$id": "http://a/b.json", "$ref": "c.json",
                       "$defs": {"x": {"$id": "http://a/c.json", "const": 1}}})",
                   "1"));
  EXPECT_TRUE(says(refused(R"({"$ref": "#/$defs/none"})"), "leads to nothing"));
  EXPECT_TRUE(says(refused(R"({"$ref": "http://elsewhere/x.json"})"), "outside this document"));
  EXPECT_TRUE(says(refused(R"({"$ref": "#"})"), "without end"));
  EXPECT_TRUE(says(refused(R"({"anyOf": [{"$ref": "#"}, {"type": "null"}]})"), "without end"));
}

TEST(Schema, WhatMustContainItselfIsLeftOut) {
  EXPECT_TRUE(says(refused(R"({"type": "object", "properties": {"a": {"$ref": "#"}},
                               "required": ["a"]})"),
                   "no value"));
  Matcher either = schema(R"({"$defs": {"loop": {"type": "object", "required": ["x"],
      "properties": {"x": {"$ref": "#/$defs/loop"}}}},
      "type": "object", "properties": {"a": {"anyOf": [{"$ref": "#/$defs/loop"},
      {"type": "integer"}]}}})");
  EXPECT_TRUE(either.accepts(R"({"a": 1})"));
  EXPECT_FALSE(either.follow(R"({"a": {)"));
}

TEST(Schema, AllOfJoins) {
  Matcher both = schema(R"({"allOf": [
      {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]},
      {"properties": {"a": {"minimum": 5}, "b": {"type": "string"}}, "required": ["b"]}]})");
  EXPECT_TRUE(both.accepts(R"({"a": 5, "b": "x"})"));
  EXPECT_FALSE(both.accepts(R"({"a": 4, "b": "x"})"));
  EXPECT_FALSE(both.accepts(R"({"a": 5})"));
  EXPECT_TRUE(says(refused(R"({"allOf": [{"type": "string"}, {"type": "null"}]})"), "no value"));
  EXPECT_FALSE(fits(R"({"allOf": [{"properties": {"a": {}}, "additionalProperties": false},
                                  {"properties": {"b": {}}}], "type": "object"})",
                    R"({"b": 1})"));
}

TEST(Schema, AnyOfKeepsAlternativesApart) {
  Matcher any = schema(R"({"anyOf": [
      {"type": "object", "properties": {"k": {"const": "a"}, "x": {"type": "integer"}},
       "required": ["k", "x"]},
      {"type": "object", "properties": {"k": {"const": "b"}, "x": {"type": "string"}},
       "required": ["k", "x"]}, {"type": "array", "items": {"type": "null"}}]})");
  EXPECT_TRUE(any.accepts(R"({"k": "a", "x": 1})"));
  EXPECT_TRUE(any.accepts(R"({"k": "b", "x": "1"})"));
  EXPECT_FALSE(any.accepts(R"({"k": "b", "x": 1})"));
  EXPECT_TRUE(any.accepts("[null]"));
}

TEST(Schema, OneOfMeansOne) {
  Matcher number = schema(R"({"oneOf": [{"type": "integer"}, {"type": "number", "minimum": 2}]})");
  EXPECT_TRUE(number.accepts("1"));
  EXPECT_FALSE(number.accepts("3"));  // both
  EXPECT_TRUE(number.accepts("3.5"));
  Matcher either = schema(R"({"type": "object", "properties": {"a": {}, "b": {}},
                              "oneOf": [{"required": ["a"]}, {"required": ["b"]}]})");
  EXPECT_TRUE(either.accepts(R"({"a": 1})"));
  EXPECT_TRUE(either.accepts(R"({"b": 1})"));
  EXPECT_FALSE(either.accepts(R"({"a": 1, "b": 1})"));
  EXPECT_TRUE(says(refused(R"({"oneOf": [{"type": "array", "items": {"type": "integer"}},
                                         {"type": "array", "items": {"minimum": 2}}]})"),
                   "anyOf"));
}

TEST(Schema, NotConditionsAndDependencies) {
  EXPECT_FALSE(fits(R"({"type": "string", "not": {"const": "x"}})", R"("x")"));
  EXPECT_TRUE(fits(R"({"type": "string", "not": {"const": "x"}})", R"("xx")"));
  EXPECT_FALSE(fits(R"({"type": "integer", "not": {"enum": [1, 2]}})", "2"));
  EXPECT_FALSE(fits(R"({"type": "number", "not": {"const": 2}})", "2.00"));
  EXPECT_FALSE(fits(R"({"type": "string", "not": {"pattern": "^a"}})", R"("ab")"));
  EXPECT_TRUE(fits(R"({"type": "string", "not": {"pattern": "^a"}})", R"("ba")"));
  const std::string conditional = R"({"type": "object",
      "properties": {"kind": {"enum": ["x", "y"]}, "more": {"type": "integer"}},
      "required": ["kind"],
      "if": {"properties": {"kind": {"const": "x"}}}, "then": {"required": ["more"]}})";
  EXPECT_TRUE(fits(conditional, R"({"kind": "y"})"));
  EXPECT_FALSE(fits(conditional, R"({"kind": "x"})"));
  EXPECT_TRUE(fits(conditional, R"({"kind": "x", "more": 1})"));
  const std::string dependent = R"({"type": "object", "properties": {"a": {}, "b": {}},
                                    "dependentRequired": {"a": ["b"]}})";
  EXPECT_TRUE(fits(dependent, R"({"b": 1})"));
  EXPECT_FALSE(fits(dependent, R"({"a": 1})"));
  EXPECT_TRUE(fits(dependent, R"({"a": 1, "b": 1})"));
}

TEST(Schema, Multiples) {
  Matcher five = schema(R"({"type": "number", "multipleOf": 5, "minimum": 7})");
  EXPECT_TRUE(five.accepts("10"));
  EXPECT_FALSE(five.accepts("5"));
  EXPECT_FALSE(five.accepts("12"));
  Matcher cents = schema(R"({"type": "number", "multipleOf": 0.25})");
  EXPECT_TRUE(cents.accepts("1.75"));
  EXPECT_FALSE(cents.accepts("1.80"));
  EXPECT_TRUE(cents.accepts("3"));
}

TEST(Schema, Formats) {
  Matcher date = schema(R"({"type": "string", "format": "date"})");
  EXPECT_TRUE(date.accepts(R"("2024-02-29")"));
  EXPECT_FALSE(date.accepts(R"("2023-02-29")"));
  EXPECT_FALSE(date.accepts(R"("2023-13-01")"));
  EXPECT_TRUE(fits(R"({"type": "string", "format": "uri"})", R"("https://a.example/b?c=d#e")"));
  EXPECT_TRUE(fits(R"({"type": "string", "format": "email"})", R"("a.b@c.example")"));
  EXPECT_FALSE(fits(R"({"type": "string", "format": "ipv4"})", R"("1.2.3.256")"));
  EXPECT_FALSE(fits(R"({"type": "integer", "format": "int32"})", "2147483648"));
  EXPECT_TRUE(says(refused(R"({"type": "string", "format": "colour"})"), "colour"));
}

TEST(Schema, WhatIsNotSupportedIsRefusedByNameAndPlace) {
  const std::string inner =
      refused(R"({"type": "object", "properties": {"a": {"contains": {"const": 1}}}})");
  EXPECT_TRUE(says(inner, "\"contains\"")) << inner;
  EXPECT_TRUE(says(inner, "#/properties/a")) << inner;
  EXPECT_TRUE(says(refused(R"({"unevaluatedProperties": false})"), "unevaluatedProperties"));
  EXPECT_TRUE(says(refused(R"({"type": "string", "minLenght": 3})"), "minLength"));
  EXPECT_TRUE(says(refused(R"({"type": "string", "nullable": true})"), "nullable"));
  EXPECT_TRUE(says(refused(R"({"type": "text"})"), "text"));
  EXPECT_TRUE(says(refused(R"({"minLength": -1})"), "minLength"));
  EXPECT_TRUE(says(refused(R"({"minLength": 1000000})"), "minLength"));
  EXPECT_TRUE(says(refused(R"({"required": "a"})"), "required"));
  EXPECT_TRUE(says(refused(R"({"pattern": "("})"), "without )"));
  EXPECT_TRUE(says(refused("[1]"), "object, true or false"));
  EXPECT_TRUE(says(refused("{\"a\": "), "schema:1:"));
  EXPECT_TRUE(says(refused("false"), "no value"));
  EXPECT_EQ(refused(R"({"type": "string", "x-order": 3, "markdownDescription": "text"})"), "");
}

TEST(Schema, DeepAndWideSchemasAreRefusedOrCompiled) {
  std::string deep;
  for (int i = 0; i < 300; ++i) deep += R"({"items": )";
  EXPECT_TRUE(says(refused(deep + "{}" + std::string(300, '}')), "deeper"));
  std::string chain = R"({"$ref": "#/$defs/d0", "$defs": {)";
  for (int i = 0; i < 1000; ++i) {
    chain += R"("d)" + std::to_string(i) + R"(": {"$ref": "#/$defs/d)" + std::to_string(i + 1) +
             R"("},)";
  }
  EXPECT_TRUE(says(refused(chain + R"("d1000": {}}})"), "references"));
  std::string wide = R"({"type": "object", "properties": {"p0": {"type": "integer"})";
  for (int i = 1; i < 1000; ++i) {
    wide += R"(, "p)" + std::to_string(i) + R"(": {"type": "integer"})";
  }
  EXPECT_TRUE(fits(wide + "}}", R"({"p3": 1, "p999": 2})"));
  EXPECT_TRUE(fits(R"({"type": "string", "maxLength": 1000000000})", R"("text")"));
  std::string combinations = R"({"allOf": [)";
  for (int i = 0; i < 12; ++i) {
    combinations += std::string(i == 0 ? "" : ",") + R"({"anyOf": [{"minLength": )" +
                    std::to_string(i) + R"(}, {"maxLength": 5}]})";
  }
  EXPECT_TRUE(says(refused(combinations + "]}"), "combinations"));
}

TEST(JsonObject, IsAnyObject) {
  Matcher object(AnswerFormat::json_object());
  EXPECT_TRUE(object.accepts(R"({"a": [1, 2.5e3, "x", {"b": null}], "c": {}})"));
  EXPECT_TRUE(object.accepts("{}"));
  EXPECT_FALSE(object.accepts("[1]"));
  EXPECT_FALSE(object.accepts(R"({"a": 1]})"));
  EXPECT_FALSE(object.follow(R"({"a": 01)"));
  EXPECT_FALSE(object.follow("{" + std::string(70, ' ')));  // white space ends
}

}  // namespace
}  // namespace tigerbot::testing
