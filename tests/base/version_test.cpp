#include "base/version.h"

#include <gtest/gtest.h>

#include <regex>
#include <string>

namespace tigerbot {
namespace {

TEST(Version, NamesAReleaseAndACommit) {
  EXPECT_TRUE(std::regex_match(std::string(version()), std::regex("[0-9]+\\.[0-9]+\\.[0-9]+")));
  EXPECT_TRUE(
      std::regex_match(std::string(git_commit()), std::regex("unknown|[0-9a-f]{12,40}(-dirty)?")));
}

}  // namespace
}  // namespace tigerbot
