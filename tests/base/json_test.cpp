#include "base/json.h"

#include <gtest/gtest.h>

#include "base/expect_error.h"
#include "base/files.h"
#include "base/scratch_folder.h"
#include "base/toml.h"

namespace tigerbot {
namespace {

using testing::error_of;
using testing::ScratchFolder;

TEST(Json, ParsesEveryKindOfValue) {
  const Json value = parse_json(
      R"({"a":[1,-2,3.5,true,null,"\u00e9\ud83d\ude00"],"b":{"c":{}},"d":18446744073709551615})",
      "x");
  EXPECT_EQ(value["a"].size(), 6u);
  EXPECT_EQ(value["a"][1], -2);
  EXPECT_EQ(value["a"][2], 3.5);
  EXPECT_EQ(value["a"][5], "\xC3\xA9\xF0\x9F\x98\x80");
  EXPECT_TRUE(value["b"]["c"].is_object());
  EXPECT_EQ(value["d"].get<std::uint64_t>(), UINT64_MAX);
  EXPECT_EQ(parse_json(" 3 ", "x"), 3);
}

TEST(Json, AgreesWithTheLibraryOnALargeDocument) {
  Json value = Json::object();
  for (int k = 0; k < 2000; ++k)
    value["key" + std::to_string(k)] = {{"list", {k, k + 0.5, "t", nullptr, Json::array()}}};
  EXPECT_EQ(parse_json(value.dump(), "x"), value);
}

TEST(Json, ErrorsNameLineAndColumn) {
  EXPECT_EQ(error_of([] { parse_json("{\n  \"a\": 1,\n  \"b\" 2\n}", "config.json"); }),
            "config.json:3:7: not valid JSON at \"2\": "
            "unexpected number literal; expected ':'");
}

TEST(Json, BadDocumentsAreOneLine) {
  for (const std::string text :
       {"", " ", "{", "[1,]", "{\"a\":1,}", "nul", "01", "1e999", "\"\x01\"", "\"\xFF\"", "[1] 2",
        "\"\\ud800\"", "\"\\x\"", "{1:2}", "\xEF\xBB", "\n\n\n\x80\n"})
    EXPECT_EQ(error_of([&] { parse_json(text, "f.json"); }).substr(0, 7), "f.json:") << text;
}

TEST(Json, DuplicateKeysAreRejectedUnlessAllowed) {
  EXPECT_EQ(error_of([] { parse_json(R"({"a":1,"b":{"c":1,"c":2}})", "f"); }),
            "f: key \"c\" stands twice in one object");
  EXPECT_EQ(parse_json(R"({"a":1,"a":{"b":2}})", "f", {.reject_duplicate_keys = false})["a"]["b"],
            2);
}

TEST(Json, DepthIsLimited) {
  const std::string deep(256, '[');
  EXPECT_NO_THROW(parse_json(deep + std::string(256, ']'), "f"));
  EXPECT_EQ(error_of([&] { parse_json(deep + "[", "f"); }), "f: nested deeper than 256 levels");
  EXPECT_EQ(error_of([] { parse_json(std::string(1 << 20, '['), "f"); }),
            "f: nested deeper than 256 levels");
}

TEST(JsonReader, GivesTypedValues) {
  const Json document = parse_json(
      R"({"layers":30,"theta":10000,"name":"x","tied":true,"ids":[1,2],"none":null,
          "scaling":{"factor":2.5},"parts":[{"type":"a"},{"type":"b"}]})",
      "config.json");
  JsonReader reader(document, "config.json");
  EXPECT_EQ(reader.get<int>("layers"), 30);
  EXPECT_EQ(reader.get<double>("theta"), 10000.0);
  EXPECT_EQ(reader.get<std::string>("name"), "x");
  EXPECT_EQ(reader.get("missing", "fallback"), "fallback");
  EXPECT_TRUE(reader.get<bool>("tied"));
  EXPECT_EQ(reader.get<std::vector<std::int64_t>>("ids"), (std::vector<std::int64_t>{1, 2}));
  EXPECT_EQ(reader.find<int>("none"), std::nullopt);
  EXPECT_EQ(reader.get<int>("none", 7), 7);
  EXPECT_TRUE(reader.has("layers"));
  EXPECT_FALSE(reader.has("none"));
  JsonReader scaling = reader.object("scaling");
  EXPECT_EQ(scaling.get<float>("factor"), 2.5f);
  scaling.finish();
  EXPECT_FALSE(reader.find_object("absent").has_value());
  auto parts = reader.objects("parts");
  ASSERT_EQ(parts.size(), 2u);
  EXPECT_EQ(parts[1].get<std::string>("type"), "b");
  reader.finish();
}

TEST(JsonReader, ErrorsNameThePathOfTheKey) {
  const Json document = parse_json(
      R"({"rope_scaling":{"factor":"two"},"list":[1,"x"],"n":3.5,"big":5000000000,"neg":-1,
          "parts":[{},{"a":[]}],"hiden_size":5})",
      "c.json");
  JsonReader reader(document, "c.json");
  EXPECT_EQ(error_of([&] { reader.object("rope_scaling").get<double>("factor"); }),
            "c.json: rope_scaling.factor must be a number, not a string (\"two\")");
  EXPECT_EQ(error_of([&] { reader.get<std::vector<int>>("list"); }),
            "c.json: list[1] must be an integer, not a string (\"x\")");
  EXPECT_EQ(error_of([&] { reader.get<int>("n"); }), "c.json: n must be an integer, not 3.5");
  EXPECT_EQ(error_of([&] { reader.get<int>("big"); }),
            "c.json: big must be between -2147483648 and 2147483647, not 5000000000");
  EXPECT_EQ(reader.get<std::int64_t>("big"), 5000000000);
  EXPECT_EQ(error_of([&] { reader.get<std::uint64_t>("neg"); }),
            "c.json: neg must be between 0 and 18446744073709551615, not -1");
  EXPECT_EQ(error_of([&] { reader.objects("parts")[1].get<bool>("a"); }),
            "c.json: parts[1].a must be true or false, not an array");
  EXPECT_EQ(error_of([&] { reader.get<int>("absent"); }), "c.json: absent is missing");
  EXPECT_EQ(error_of([&] { reader.get<int>("hidden_size"); }),
            "c.json: hidden_size is missing; is \"hiden_size\" a misspelling of it?");
  EXPECT_EQ(error_of([&] { reader.object("n"); }), "c.json: n must be an object, not 3.5");
  EXPECT_EQ(error_of([&] { reader.objects("n"); }), "c.json: n must be an array, not 3.5");
  EXPECT_EQ(error_of([&] { reader.objects("list"); }), "c.json: list[0] must be an object, not 1");
}

TEST(JsonReader, FinishRejectsUnknownKeysWithTheNearestName) {
  const Json document = parse_json(R"({"train":{"learning_rat":1,"seed":2}})", "recipe");
  JsonReader reader(document, "recipe");
  JsonReader train = reader.object("train");
  train.get<double>("learning_rate", 0.0);
  train.get<int>("seed");
  EXPECT_EQ(error_of([&] { train.finish(); }),
            "recipe: unknown key \"learning_rat\" in train; did you mean \"learning_rate\"?");
  train.ignore("learning_rat");
  EXPECT_NO_THROW(train.finish());
  EXPECT_NO_THROW(reader.finish());
}

TEST(Toml, BecomesTheSameStrictValues) {
  const Json document = parse_toml(
      "seed = 7\n[train]\nlearning_rate = 3e-4\nstages = [\"a\", \"b\"]\nday = 2023-12-01\n"
      "big = inf\n[[set]]\nname = 'x'\n[[set]]\nname = 'y'\n",
      "recipe.toml");
  JsonReader reader(document, "recipe.toml");
  EXPECT_EQ(reader.get<int>("seed"), 7);
  JsonReader train = reader.object("train");
  EXPECT_EQ(train.get<double>("learning_rate"), 3e-4);
  EXPECT_EQ(train.get<std::vector<std::string>>("stages"), (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(train.get<std::string>("day"), "2023-12-01");
  EXPECT_TRUE(std::isinf(train.get<double>("big")));
  EXPECT_EQ(reader.objects("set")[1].get<std::string>("name"), "y");
  EXPECT_EQ(error_of([&] { train.get<int>("day"); }),
            "recipe.toml: train.day must be an integer, not a string (\"2023-12-01\")");
}

TEST(Toml, ErrorsNameLineAndColumn) {
  EXPECT_EQ(error_of([] { parse_toml("a = 1\nb = \n", "r.toml"); }).substr(0, 9), "r.toml:2:");
  EXPECT_EQ(error_of([] { parse_toml("a = 1\na = 2\n", "r.toml"); }).substr(0, 9), "r.toml:2:");
  error_of([] { parse_toml("a = " + std::string(100000, '['), "r.toml"); });
}

TEST(JsonFile, ErrorsNameTheFile) {
  ScratchFolder folder;
  write_file(folder / "bad.json", "{");
  write_file(folder / "good.toml", "a = 1");
  EXPECT_NE(error_of([&] { read_json_file(folder / "bad.json"); }).find("bad.json:1:"),
            std::string::npos);
  EXPECT_EQ(read_toml_file(folder / "good.toml")["a"], 1);
}

}  // namespace
}  // namespace tigerbot
