#include "data/document.h"

#include <gtest/gtest.h>

namespace tigerbot::data {
namespace {

TEST(Document, StartsWithoutLanguageOrScores) {
  const Document document;
  EXPECT_TRUE(document.language.empty());
  EXPECT_TRUE(document.scores.empty());
  EXPECT_TRUE(document.metadata.is_null());
}

}  // namespace
}  // namespace tigerbot::data
