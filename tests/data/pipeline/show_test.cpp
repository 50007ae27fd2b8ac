#include "data/show.h"

#include <gtest/gtest.h>

#include <set>

#include "base/expect_error.h"
#include "data/pipeline/run_fixture.h"
#include "data/report/html_report.h"
#include "data/report/text_report.h"

namespace tigerbot::data::testing {
namespace {

using tigerbot::testing::error_of;

std::vector<Json> shown(const SmallRun& run, const ShowFilter& filter) {
  std::vector<Json> documents;
  show_documents(run.folder / "out", filter, [&](const Json& json) { documents.push_back(json); });
  return documents;
}

TEST(Show, EveryDocumentHasAFate) {
  SmallRun run;
  run.mixture = "[mixture.shares]\nbooks = 0.4\n";
  const BuildResult result = run.build();
  std::map<std::string, std::size_t> fates;
  for (const Json& document : shown(run, {.limit = 100000})) ++fates[document.at("fate")];
  EXPECT_EQ(fates["train"], run.rows("train").size());
  EXPECT_EQ(fates["validation"], run.rows("validation").size());
  EXPECT_EQ(fates["dropped"], 30u);
  EXPECT_EQ(fates["train"] + fates["validation"] + fates["dropped"] + fates["left_out"], 350u);
}

TEST(Show, ADroppedDocumentNamesTheOneItDuplicates) {
  const SmallRun run;
  run.build();
  const auto near = shown(run, {.reason = "near", .limit = 100});
  ASSERT_EQ(near.size(), 15u);
  for (const Json& document : near) {
    EXPECT_EQ(document.at("reason"), "near_duplicates");
    const std::string text = document.at("text"), kept = document.at("duplicate_of").at("text");
    EXPECT_NE(text, kept);
    EXPECT_EQ(text.substr(0, 100), kept.substr(0, 100));
    const auto other = shown(run, {.id = document.at("duplicate_of").at("id"), .limit = 5});
    ASSERT_EQ(other.size(), 1u);
    EXPECT_NE(other[0].at("fate"), "dropped");
    EXPECT_NE(describe_document(document, 100).find("duplicates"), std::string::npos);
  }
}

TEST(Show, FiltersAndSamples) {
  const SmallRun run;
  run.build();
  for (const Json& document : shown(run, {.source = "b", .kept = true, .limit = 20})) {
    EXPECT_EQ(document.at("source"), "b");
    EXPECT_NE(document.at("fate"), "dropped");
  }
  const auto ids = [&](std::uint64_t seed) {
    std::set<std::string> ids;
    for (const Json& document : shown(run, {.limit = 7, .seed = seed}))
      ids.insert(document.at("id"));
    return ids;
  };
  EXPECT_EQ(ids(1).size(), 7u);
  EXPECT_EQ(ids(1), ids(1));
  EXPECT_NE(ids(1), ids(2));
  EXPECT_EQ(shown(run, {.limit = 3}).size(), 3u);
  EXPECT_TRUE(shown(run, {.language = "xx"}).empty());
  EXPECT_NE(error_of([&] { shown(run, {.source = "bb"}); }).find("did you mean \"b\"?"),
            std::string::npos);
  EXPECT_NE(error_of([&] {
              show_documents(run.folder / "nowhere", {}, [](const Json&) {});
            }).find("no finished run"),
            std::string::npos);
}

TEST(Report, IsOnePageThatHoldsNoOnesMarkup) {
  SmallRun run;
  std::string rows;
  for (std::uint64_t k = 0; k < 100; ++k)
    rows += Json{{"text", "<script>alert(1)</script><img src=x> & " +
                              made_up_text(5000 + k / 2, 60) + (k % 2 == 1 ? " x." : "")}}
                .dump() +
            "\n";
  write_file(run.folder / "a.jsonl", rows);
  run.recipe_text.replace(run.recipe_text.find("CC0"), 3, "<b>");
  const BuildResult result = run.build();
  const std::string page = read_file(run.folder / "out" / "report.html");
  EXPECT_EQ(page, html_report(result.report));
  for (const char* part : {"<script", "<img", "<b>,", "http", "url(", "<link"})
    EXPECT_EQ(page.find(part), std::string::npos) << part;
  for (const char* part :
       {"&lt;script&gt;alert(1)", "Mixture", "Funnel", "near_duplicates", "Clusters",
        "Length in characters", "<svg", "Wall time by phase", "prefers-color-scheme:dark"})
    EXPECT_NE(page.find(part), std::string::npos) << part;
  const std::string text = text_report(result.report);
  EXPECT_NE(text.find("near_duplicates"), std::string::npos) << text;
}

}  // namespace
}  // namespace tigerbot::data::testing
