#include "workflow/placeholders.h"

#include <gtest/gtest.h>

namespace tigerbot::workflow {
namespace {

const LookUp kNames = [](const std::string& name) -> std::optional<Json> {
  if (name == "data") return "/out/data";
  if (name == "tokens") return 4096;
  return std::nullopt;
};

TEST(Placeholders, AStringThatIsOneBecomesTheValueItself) {
  EXPECT_EQ(fill_in(Json{{"steps", "{tokens}"}}, kNames), (Json{{"steps", 4096}}));
  EXPECT_EQ(fill_in(Json{"{tokens} tokens"}, kNames), Json{"4096 tokens"});
}

TEST(Placeholders, UnknownNamesAndOtherBracesStay) {
  EXPECT_EQ(fill_in_text("{later}/x {\"a\": 1} {} {data}", kNames),
            "{later}/x {\"a\": 1} {} /out/data");
}

TEST(Placeholders, TwoBracesAreTheTextItself) {
  const Json filled = fill_in(Json("{{data}} {data}"), kNames);
  EXPECT_EQ(filled, "{{data}} /out/data");
  EXPECT_EQ(without_escapes(filled), "{data} /out/data");
}

TEST(Placeholders, ReferencesHaveWhatStandsBehindThem) {
  const auto found = references(Json{"zh={data}/train-*", {{"path", "{sft}"}}, "{{no}}"});
  ASSERT_EQ(found.size(), 2u);
  EXPECT_EQ(found[0].name, "data");
  EXPECT_EQ(found[0].rest, "/train-*");
  EXPECT_EQ(found[1].name, "sft");
  EXPECT_EQ(found[1].rest, "");
}

}  // namespace
}  // namespace tigerbot::workflow
