#include "infer/stop_strings.h"

#include <gtest/gtest.h>

#include "base/error.h"

namespace tigerbot {
namespace {

std::string run(std::vector<std::string> stops, const std::vector<std::string>& parts) {
  StopStrings stop(std::move(stops));
  std::string shown;
  for (const std::string& part : parts) shown += stop.push(part);
  return shown + stop.finish() + (stop.stopped() ? "|" : "");
}

TEST(StopStrings, CutAtTheFirst) {
  EXPECT_EQ(run({"END", "STOP"}, {"a STOP b END"}), "a |");
  EXPECT_EQ(run({"END"}, {"nothing"}), "nothing");
}

TEST(StopStrings, OverPartsAndFalseBeginnings) {
  EXPECT_EQ(run({"abab"}, {"x", "a", "b", "a", "c", "a", "b", "a", "b", "z"}), "xabac|");
  EXPECT_EQ(run({"\n\n"}, {"line\n", "more\n", "\n", "rest"}), "line\nmore|");
}

TEST(StopStrings, HoldBackOnlyWhatMayBeginOne) {
  StopStrings stop({"abc"});
  EXPECT_EQ(stop.push("xxab"), "xx");
  EXPECT_EQ(stop.push("d"), "abd");
  EXPECT_EQ(stop.push("ab"), "");
  EXPECT_EQ(stop.finish(), "ab");
}

TEST(StopStrings, AnEmptyOneIsAnError) { EXPECT_THROW(StopStrings({""}), Error); }

}  // namespace
}  // namespace tigerbot
