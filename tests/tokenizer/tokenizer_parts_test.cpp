#include <gtest/gtest.h>

#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <string>

#include "base/error.h"
#include "tokenizer/decoder.h"
#include "tokenizer/pattern.h"
#include "tokenizer/pre_tokenizer.h"
#include "tokenizer/scanner.h"
#include "tokenizer/tokenizer.h"

namespace tigerbot {
namespace {

using nlohmann::json;

json read_golden(const std::string& name) {
  const std::string path = TIGERBOT_SOURCE_DIR "/tests/golden/tokenizer_bpe/" + name;
  std::ifstream file(path, std::ios::binary);
  EXPECT_TRUE(file) << path;
  return json::parse(file);
}

TEST(PreTokenizers, SplitAsTheReference) {
  const json golden = read_golden("pre_tokenizers.json");
  for (const json& node : golden["cases"]) {
    const PreTokenizer part = PreTokenizer::from_json(node["pre_tokenizer"], "golden");
    for (std::size_t i = 0; i < golden["texts"].size(); ++i) {
      const std::string text = golden["texts"][i];
      std::vector<std::string> pieces;
      const Pieces split = part.split(text, true);
      for (const Pieces::Piece& piece : split.pieces) pieces.emplace_back(piece.text);
      EXPECT_EQ(pieces, node["pieces"][i].get<std::vector<std::string>>())
          << node["name"] << ": " << text;
    }
  }
}

TEST(Decoders, DecodeAsTheReferencePieceByPiece) {
  const json golden = read_golden("decoders.json");
  const auto pieces = golden["pieces"].get<std::vector<std::string>>();
  for (const json& node : golden["cases"]) {
    const Decoder decoder = Decoder::from_json(node["decoder"], "golden");
    for (std::size_t i = 0; i < golden["sequences"].size(); ++i) {
      Decoder::Run run = decoder.start();
      std::string text;
      for (const std::size_t id : golden["sequences"][i]) text += run.push(pieces[id]);
      text += run.finish();
      EXPECT_EQ(text, node["decoded"][i].get<std::string>()) << node["name"] << " " << i;
    }
  }
}

TEST(Decoders, GiveACharacterAsSoonAsItIsWhole) {
  const Decoder decoder = Decoder::from_json(json{{"type", "ByteLevel"}}, "test");
  Decoder::Run run = decoder.start();
  EXPECT_EQ(run.push("Ġa"), " a");
  EXPECT_EQ(run.push("ä¸"), "");
  EXPECT_EQ(run.push("Ń"), "中");
  EXPECT_EQ(run.push("ä"), "");
  EXPECT_EQ(run.finish(), "\uFFFD");
}

std::vector<std::string> words(ScannerKind kind, const std::string& text) {
  std::vector<std::string> result;
  std::size_t ends[3];
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t count = scan_words(kind, text, begin, ends);
    for (std::size_t i = 0; i < count; ++i) {
      result.push_back(text.substr(begin, ends[i] - begin));
      begin = ends[i];
    }
  }
  return result;
}

// The scanners by hand against the regular expressions that they stand for.
TEST(Scanners, AgreeWithTheirRegularExpressions) {
  const std::pair<ScannerKind, const char*> kScanners[] = {
      {ScannerKind::kGpt2,
       R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)"},
      {ScannerKind::kLlama3,
       R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)"},
      {ScannerKind::kQwen2,
       R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)"},
      {ScannerKind::kBloom, R"( ?[^(\s|[.,!?…。，、।۔،])]+)"},
  };
  const std::vector<std::string> fragments = {"a",      "B",  "word", "longerwordthansixteen",
                                              "é",      "中", "の",   "1",
                                              "²",      "١",  " ",    "  ",
                                              "\n",     "\r", "\t",   "\u00a0",
                                              "\u3000", "'",  "'s",   "'LL",
                                              "'ſ",     ".",  ",",    "!",
                                              "(",      "|",  "。",   "😀",
                                              "\u0301", "_",  "-",    "\u200b"};
  for (const auto& [kind, expression] : kScanners) {
    EXPECT_EQ(scanner_of_pattern(expression), kind);
    const Pattern pattern(expression, "test");
    std::uint64_t state = 1;
    for (int round = 0; round < 3000; ++round) {
      std::string text;
      for (int i = 0; i < 24; ++i) {
        state = state * 6364136223846793005u + 1442695040888963407u;
        text += fragments[(state >> 33) % fragments.size()];
      }
      std::vector<std::string> expected;
      std::size_t last = 0;
      for (const auto& [begin, end] : pattern.find_all(text)) {
        if (begin > last) expected.push_back(text.substr(last, begin - last));
        if (end > begin) expected.push_back(text.substr(begin, end - begin));
        last = end;
      }
      if (last < text.size()) expected.push_back(text.substr(last));
      ASSERT_EQ(words(kind, text), expected) << expression << "\n" << text;
    }
  }
}

TEST(Patterns, WhatPcre2WouldReadOtherwiseIsAnError) {
  for (const char* expression :
       {"[a&&b]", "[a[^b]]", "[[:alpha:]]", "a{1,2}+", R"(\p{Klingon})", R"(\X)", R"(\xff)",
        "(?<name>a)", "a(?i)b", "[a", "a\\", R"(\pL)", "(", "*", R"([\A])"}) {
    EXPECT_THROW(Pattern(expression, "test"), Error) << expression;
  }
}

TEST(Patterns, DeepBacktrackingEndsInAMatchOrAnError) {
  const Pattern pattern(R"((a+)+$)", "test");
  const std::string text = std::string(200, 'a') + "b";
  try {
    pattern.find_all(text);
  } catch (const Error&) {
  }
}

std::string minimal(const std::string& part, const std::string& value) {
  json document = {{"version", "1.0"},
                   {"model",
                    {{"type", "BPE"},
                     {"vocab", {{"a", 0}, {"b", 1}, {"ab", 2}}},
                     {"merges", json::array({"a b"})}}}};
  if (!part.empty()) document[json::json_pointer(part)] = json::parse(value);
  return document.dump();
}

TEST(TokenizerJson, TheMinimalFileWorks) {
  const auto tokenizer = parse_tokenizer_json(minimal("", ""), "minimal.json");
  EXPECT_EQ(tokenizer->encode("ab"), std::vector<TokenId>{2});
  EXPECT_EQ(tokenizer->size(), 3);
  EXPECT_EQ(tokenizer->piece(2), "ab");
  EXPECT_EQ(tokenizer->piece(3), "");
  EXPECT_EQ(tokenizer->piece(-1), "");
  EXPECT_EQ(tokenizer->id("b"), 1);
}

// Each of these is one clear line that names the part.
TEST(TokenizerJson, WhatWeDoNotKnowIsAnErrorThatNamesIt) {
  const std::array<std::array<const char*, 3>, 41> kCases = {{
      {"/colour", "1", "colour"},
      {"/version", "\"2.0\"", "version"},
      {"/normalizer", R"({"type":"Magic"})", "Magic"},
      {"/pre_tokenizer", R"({"type":"Magic"})", "Magic"},
      {"/pre_tokenizer", R"({})", "type"},
      {"/pre_tokenizer", R"(3)", "object"},
      {"/pre_tokenizer", R"({"type":"ByteLevel","colour":1})", "colour"},
      {"/pre_tokenizer", R"({"type":"ByteLevel","use_regex":"yes"})", "use_regex"},
      {"/pre_tokenizer", R"({"type":"Sequence","pretokenizers":3})", "list"},
      {"/pre_tokenizer", R"({"type":"Split","pattern":{"Regex":"("},"behavior":"Isolated"})",
       "regular"},
      {"/pre_tokenizer", R"({"type":"Split","pattern":{"Regex":"a"},"behavior":"Sideways"})",
       "Sideways"},
      {"/pre_tokenizer", R"({"type":"Split","pattern":{"Magic":"a"},"behavior":"Isolated"})",
       "Magic"},
      {"/pre_tokenizer", R"({"type":"Split","pattern":"a","behavior":"Isolated"})", "object"},
      {"/pre_tokenizer", R"({"type":"FixedLength","length":0})", "length"},
      {"/pre_tokenizer", R"({"type":"CharDelimiterSplit","delimiter":"ab"})", "delimiter"},
      {"/pre_tokenizer", R"({"type":"Metaspace","replacement":"_","prepend_scheme":"odd"})", "odd"},
      {"/post_processor", R"({"type":"Magic"})", "Magic"},
      {"/post_processor", R"({"type":"BertProcessing","sep":["x",2],"cls":["y",7]})", "id 7"},
      {"/post_processor", R"({"type":"BertProcessing","sep":["x",2],"cls":["y"]})", "cls"},
      {"/post_processor", R"({"type":"BertProcessing","sep":["x",2],"cls":["y",-1]})", "id"},
      {"/post_processor",
       R"({"type":"TemplateProcessing","single":[],"pair":[],"special_tokens":{}})", "sequence A"},
      {"/post_processor",
       R"({"type":"TemplateProcessing","single":[{"Sequence":{"id":"B","type_id":0}}],"special_tokens":{}})",
       "sequence A"},
      {"/post_processor",
       R"({"type":"TemplateProcessing","single":[{"SpecialToken":{"id":"X","type_id":0}}],"special_tokens":{}})",
       "special_tokens"},
      {"/decoder", R"({"type":"Magic"})", "Magic"},
      {"/decoder", R"({"type":"Strip","content":"","start":1,"stop":0})", "content"},
      {"/decoder", R"({"type":"Strip","content":"x","start":-1,"stop":0})", "start"},
      {"/decoder", R"({"type":"Sequence"})", "decoders"},
      {"/model/type", "\"Magic\"", "Magic"},
      {"/model/dropout", "0.1", "dropout"},
      {"/model/vocab", "[]", "vocab"},
      {"/model/vocab/a", "-1", "id"},
      {"/model/vocab/a", "1e300", "id"},
      {"/model/vocab/a", "99999999999", "id"},
      {"/model/vocab/a", "1", "id"},
      {"/model/merges", "[3]", "merge"},
      {"/model/merges", "[\"a\"]", "merge"},
      {"/model/merges", "[\"a c\"]", "merge"},
      {"/added_tokens", "3", "list"},
      {"/added_tokens", R"([{"id":0,"content":"x"}])", "id"},
      {"/added_tokens", R"([{"id":5,"content":"a"}])", "id"},
      {"/added_tokens", R"([{"id":99999999,"content":"x"}])", "id"},
  }};
  for (const auto& [part, value, word] : kCases) {
    for (const bool byte_level : {false, true}) {
      std::string text = minimal(part, value);
      if (byte_level && std::string(part).find("pre_tokenizer") == std::string::npos) {
        json document = json::parse(text);
        document["pre_tokenizer"] = {{"type", "ByteLevel"}};
        text = document.dump();
      }
      try {
        parse_tokenizer_json(text, "bad.json");
        ADD_FAILURE() << part << " " << value << " was taken";
      } catch (const Error& error) {
        const std::string message = error.what();
        EXPECT_TRUE(message.starts_with("bad.json")) << message;
        EXPECT_NE(message.find(word), std::string::npos) << message;
        EXPECT_EQ(message.find('\n'), std::string::npos) << message;
      }
    }
  }
}

TEST(TokenizerJson, BrokenJsonAndDeepNestingAreErrors) {
  EXPECT_THROW(parse_tokenizer_json("", "bad.json"), Error);
  EXPECT_THROW(parse_tokenizer_json("{\"model\": {\"vocab\": {\"\\ud800\": 1}}}", "bad.json"),
               Error);
  EXPECT_THROW(parse_tokenizer_json("\xff", "bad.json"), Error);
  for (const char* kind : {"pretokenizers", "decoders", "processors"}) {
    std::string open, close;
    for (int i = 0; i < 1000; ++i) {
      open += std::string(R"({"type":"Sequence",")") + kind + "\":[";
      close += "]}";
    }
    const std::string part = kind == std::string("decoders")     ? "/decoder"
                             : kind == std::string("processors") ? "/post_processor"
                                                                 : "/pre_tokenizer";
    EXPECT_THROW(parse_tokenizer_json(minimal(part, open + close), "bad.json"), Error);
  }
}

}  // namespace
}  // namespace tigerbot
