// The official JSON Schema Test Suite (tests/golden/json_schemas.py): whatever we compile accepts
// no value that the suite calls invalid.

#include <gtest/gtest.h>

#include <map>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/files.h"
#include "infer/constraint/matcher.h"

namespace tigerbot::testing {
namespace {

using Json = nlohmann::ordered_json;

TEST(SchemaSuite, NoInvalidValueIsAccepted) {
  const Json groups =
      Json::parse(read_file(std::string(TIGERBOT_SOURCE_DIR) + "/tests/golden/json_schemas.json"));
  std::map<std::string, int> refused, compiled;
  int valid = 0, accepted = 0, rejected = 0;
  for (const Json& group : groups) {
    const auto file = group["file"].get<std::string>();
    std::optional<Matcher> matcher;
    try {
      matcher.emplace(AnswerFormat::json_schema(group["schema"].dump()));
    } catch (const Error& error) {
      EXPECT_EQ(error.exit_status(), 2) << error.what();
      ++refused[file];
      // "No value can meet it" is a promise too.
      if (std::string(error.what()).find("no value") == std::string::npos) continue;
      for (const Json& test : group["tests"]) {
        const bool unsatisfiable = !test[1].get<bool>();
        if (!unsatisfiable) ADD_FAILURE() << group["what"] << ": " << test[0] << error.what();
      }
      continue;
    }
    ++compiled[file];
    for (const Json& test : group["tests"]) {
      const auto text = test[0].get<std::string>();
      const bool takes = matcher->accepts(text);
      if (test[1].get<bool>()) {
        ++valid;
        accepted += takes;
      } else {
        EXPECT_FALSE(takes) << file << ": " << group["what"] << ": " << text;
        ++rejected;
      }
    }
  }
  // What the common part of the standard consists of is compiled.
  for (const char* file : {"additionalProperties",
                           "anyOf",
                           "boolean_schema",
                           "const",
                           "default",
                           "enum",
                           "exclusiveMaximum",
                           "exclusiveMinimum",
                           "infinite-loop-detection",
                           "items",
                           "maxItems",
                           "maxLength",
                           "maxProperties",
                           "maximum",
                           "minItems",
                           "minLength",
                           "minimum",
                           "pattern",
                           "patternProperties",
                           "prefixItems",
                           "properties",
                           "required",
                           "type"}) {
    EXPECT_GT(compiled[file], 0) << file;
  }
  RecordProperty("valid", valid);
  RecordProperty("accepted", accepted);
  RecordProperty("rejected", rejected);
  std::printf("%d of %d valid values accepted, %d invalid ones rejected\n", accepted, valid,
              rejected);
  for (const auto& [file, count] : refused) std::printf("  %s: %d refused\n", file.c_str(), count);
}

}  // namespace
}  // namespace tigerbot::testing
