#include "infer/constraint/token_masks.h"

#include <gtest/gtest.h>

#include <set>

#include "base/error.h"
#include "base/random.h"
#include "infer/constraint/compiled_grammar.h"
#include "infer/constraint/matcher.h"

namespace tigerbot::testing {
namespace {

using constraint::CompiledGrammar;
using constraint::GrammarConstraint;
using constraint::SharedWalks;
using constraint::TokenBytes;
using constraint::TokenTrie;

/// Every byte, and many short texts over the signs of JSON.
TokenBytes vocabulary() {
  TokenBytes tokens;
  tokens.of.emplace_back();  // special: no text
  for (int byte = 0; byte < 256; ++byte) tokens.of.push_back({static_cast<char>(byte)});
  const std::string signs = "{}[]\",: \n1ab-";
  for (std::uint64_t i = 0; i < 1500; ++i) {
    std::string text;
    const auto length = 2 + random_below({1, i, 0}, 4);
    for (std::uint64_t k = 0; k < length; ++k) {
      text += signs[random_below({2, i, k}, signs.size())];
    }
    tokens.of.push_back(text);
  }
  for (const char* text : {"\"}", "\"}}", "\"}]}", "}]}", "]}}", "},{\"", "{\"a\":", "null", "true",
                           " \"", "\xE4\xBD", "\xA0", "\xE4\xBD\xA0\"", "\\u00e9", "null"}) {
    tokens.of.emplace_back(text);
  }
  return tokens;
}

const std::vector<AnswerFormat>& formats() {
  static const std::vector<AnswerFormat> all{
      AnswerFormat::json_object(),
      AnswerFormat::json_schema(R"({"type": "array", "items": {"$ref": "#/$defs/n"}, "$defs": {"n":
          {"type": "object", "properties": {"a": {"type": ["string", "integer"]}, "b": {"type":
          "array", "items": {"$ref": "#/$defs/n"}}}, "required": ["a"]}}})"),
      AnswerFormat::json_schema(R"({"anyOf": [{"type": "object", "properties": {"a": {"const": 1}}},
          {"type": "object", "additionalProperties": {"type": "array", "items":
          {"type": "string", "maxLength": 4}}}]})"),
      AnswerFormat::json_schema(R"({"type": "string", "minLength": 3, "maxLength": 200})"),
      // The same head before different rests, and rests that begin with what the head may hold.
      AnswerFormat::json_schema(R"({"type": "object", "required": ["a", "b"], "properties": {
          "a": {"type": "string"}, "b": {"type": "array", "items": {"type": "string"}}},
          "additionalProperties": {"type": "string", "pattern": "b$"}})"),
      AnswerFormat::json_schema(R"({"type": "object", "propertyNames": {"pattern": "^[ab]+$"},
          "additionalProperties": {"anyOf": [{"type": "string"}, {"type": "object",
          "additionalProperties": {"type": "string"}}]}})"),
      AnswerFormat::pattern("[ab\"]*\"a|[b\"]*ab[{}]*"),
      AnswerFormat::pattern("(.|\n)*"),
      AnswerFormat::pattern("(a|ab|[{}]+)*1"),
      AnswerFormat::choice({"ab", "a:b", "b\n"}),
  };
  return all;
}

std::shared_ptr<CompiledGrammar> compile(const AnswerFormat& format, TokenBytes tokens) {
  return std::make_shared<CompiledGrammar>(
      compile_format(format), std::make_shared<TokenTrie>(std::move(tokens)),
      std::make_shared<SharedWalks>(), std::vector<std::int64_t>{0});
}

/// Grammars over one vocabulary, which share their walks as a server's do.
class Grammars {
 public:
  explicit Grammars(TokenBytes tokens) : trie_(std::make_shared<TokenTrie>(std::move(tokens))) {}
  std::shared_ptr<CompiledGrammar> compile(const AnswerFormat& format) {
    return std::make_shared<CompiledGrammar>(compile_format(format), trie_, walks_,
                                             std::vector<std::int64_t>{0});
  }

 private:
  std::shared_ptr<const TokenTrie> trie_;
  std::shared_ptr<SharedWalks> walks_ = std::make_shared<SharedWalks>();
};

// A random walk over allowed tokens; at each step the mask must be what bytes say, token by token.
TEST(TokenMasks, AreWhatBytesSay) {
  const TokenBytes tokens = vocabulary();
  Grammars grammars(tokens);
  for (std::size_t f = 0; f < formats().size(); ++f) {
    const auto grammar = grammars.compile(formats()[f]);
    Matcher matcher(formats()[f]);
    for (std::uint64_t walk = 0; walk < 12; ++walk) {
      GrammarConstraint constraint(grammar);
      TokenMask mask(static_cast<std::int64_t>(tokens.of.size()));
      std::string text;
      for (std::uint64_t step = 0; step < 40 && !constraint.finished(); ++step) {
        constraint.fill(mask);
        std::vector<TokenId> allowed;
        for (std::size_t id = 1; id < tokens.of.size(); ++id) {
          const auto token = static_cast<TokenId>(id);
          ASSERT_EQ(mask.allows(token), matcher.follow(text + tokens.of[id]))
              << "format " << f << ": " << text << " then " << tokens.of[id];
          if (mask.allows(token)) allowed.push_back(token);
        }
        ASSERT_EQ(mask.allows(0), matcher.accepts(text)) << text;
        if (allowed.empty()) break;
        const TokenId next = allowed[random_below({walk, step, f}, allowed.size())];
        constraint.accept(next);
        text += tokens.of[static_cast<std::size_t>(next)];
      }
    }
  }
}

TEST(TokenMasks, ACloneGoesItsOwnWay) {
  const auto grammar = compile(formats()[1], vocabulary());
  GrammarConstraint first(grammar);
  const auto token = [&](const std::string& text) {
    const auto all = vocabulary().of;
    return static_cast<TokenId>(std::find(all.begin(), all.end(), text) - all.begin());
  };
  first.accept(token("["));
  const auto second = first.clone();
  first.accept(token("]"));
  EXPECT_TRUE(first.finished());
  EXPECT_FALSE(second->finished());
  TokenMask mask(static_cast<std::int64_t>(vocabulary().of.size()));
  second->fill(mask);
  EXPECT_TRUE(mask.allows(token("{")));
  EXPECT_THROW(second->accept(token("}")), Error);
}

TEST(TokenMasks, TheFirstTokenLosesItsSpace) {
  TokenBytes tokens;
  tokens.of = {"", " ", " yes", "yes", " no", "y", "es", " y"};
  tokens.first_loses_space = true;
  const auto grammar = compile(AnswerFormat::choice({"yes", "y y"}), tokens);
  GrammarConstraint constraint(grammar);
  TokenMask mask(8);
  constraint.fill(mask);
  const auto allowed = [&] {
    std::set<TokenId> ids;
    for (TokenId id = 0; id < 8; ++id) {
      if (mask.allows(id)) ids.insert(id);
    }
    return ids;
  };
  EXPECT_EQ(allowed(), (std::set<TokenId>{2, 3, 5, 7}));
  constraint.accept(7);
  constraint.fill(mask);
  EXPECT_EQ(allowed(), (std::set<TokenId>{1, 6, 7}));
  constraint.accept(7);
  EXPECT_TRUE(constraint.finished());
}

TEST(TokenMasks, AModelMayHaveFewerRowsThanItsTokenizerPieces) {
  const auto grammar = compile(AnswerFormat::json_object(), vocabulary());
  GrammarConstraint constraint(grammar);
  TokenMask mask(257);
  constraint.fill(mask);
  EXPECT_TRUE(mask.allows('{' + 1));
  for (const std::uint32_t word : mask.words().subspan(8)) EXPECT_EQ(word, 0U);
}

TEST(TokenMasks, AnAnswerEndsOnlyWhereItIsWhole) {
  const auto grammar = compile(AnswerFormat::pattern("ab?"), vocabulary());
  GrammarConstraint constraint(grammar);
  TokenMask mask(static_cast<std::int64_t>(vocabulary().of.size()));
  constraint.fill(mask);
  EXPECT_FALSE(mask.allows(0));
  constraint.accept('a' + 1);
  EXPECT_FALSE(constraint.finished());
  constraint.fill(mask);
  EXPECT_TRUE(mask.allows(0));
  constraint.accept('b' + 1);
  EXPECT_TRUE(constraint.finished());
}

}  // namespace
}  // namespace tigerbot::testing
