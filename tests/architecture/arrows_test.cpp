#include "architecture/arrows.h"

#include <gtest/gtest.h>

namespace tigerbot::testing {
namespace {

using Lines = std::vector<std::string>;

/// Folders that must not see a tensor.
const std::set<std::string> kTensorFree{"base", "tokenizer"};

TEST(Arrows, OurSourcesKeepThem) {
  const SourceTree tree = read_sources(TIGERBOT_SOURCE_DIR "/src");
  ASSERT_GT(tree.size(), 20u);
  ASSERT_TRUE(tree.contains("base/error.h"));
  EXPECT_EQ(broken_arrows(tree), Lines{});
}

TEST(Arrows, OurTensorFreeFoldersSeeNoTensor) {
  const SourceTree tree = read_sources(TIGERBOT_SOURCE_DIR "/src");
  EXPECT_EQ(tensor_includes(tree, kTensorFree), Lines{});
  // The check does see tensors where they are.
  EXPECT_NE(tensor_includes(tree, {"ops"}), Lines{});
}

TEST(ParseIncludes, FindsDirectivesAndNoComments) {
  const Includes found = parse_includes(
      "#pragma once\n#include <vector>\n  #  include \"base/error.h\" // why\n"
      "// #include \"a/b.h\"\n/* #include <c>\n#include <d> */ #include \"base/files.h\"\n"
      "auto s = \"#include <x>\";\n");
  EXPECT_EQ(found.own, (Lines{"base/error.h", "base/files.h"}));
  EXPECT_EQ(found.foreign, Lines{"vector"});
}

TEST(BrokenArrows, AnIncludeFromAboveIsFound) {
  const SourceTree tree{{"ops/a.h", {.own = {"model/b.h"}, .foreign = {}}}, {"model/b.h", {}}};
  EXPECT_EQ(broken_arrows(tree), Lines{"ops/a.h: includes \"model/b.h\" from above"});
}

TEST(BrokenArrows, DownAndSidewaysIsAllowed) {
  const SourceTree tree{{"base/a.h", {}},
                        {"weights/w.h", {.own = {"base/a.h"}, .foreign = {"vector"}}},
                        {"infer/i.cpp", {.own = {"weights/w.h", "base/a.h"}, .foreign = {}}}};
  EXPECT_EQ(broken_arrows(tree), Lines{});
}

TEST(BrokenArrows, ACircleOfFoldersIsFound) {
  const SourceTree tree{{"weights/a.h", {.own = {"infer/b.h"}, .foreign = {}}},
                        {"infer/b.h", {}},
                        {"infer/c.h", {.own = {"weights/a.h"}, .foreign = {}}}};
  EXPECT_EQ(broken_arrows(tree), Lines{"folders include one another: infer -> weights -> infer"});
}

TEST(BrokenArrows, UnknownFoldersAndPathsAreFound) {
  const SourceTree tree{{"misc/a.h", {}}, {"base/b.h", {.own = {"c.h"}, .foreign = {}}}};
  EXPECT_EQ(broken_arrows(tree), (Lines{"base/b.h: \"c.h\" is no path from src/",
                                        "misc/a.h: folder \"misc\" has no place in the order"}));
}

TEST(BrokenArrows, AllOfTorchIsFound) {
  const SourceTree tree{{"ops/a.cpp", {.own = {}, .foreign = {"torch/torch.h"}}}};
  EXPECT_EQ(broken_arrows(tree), Lines{"ops/a.cpp: includes all of torch"});
}

TEST(TensorIncludes, AreFoundDirectlyAndThroughOthers) {
  const SourceTree tree{
      {"ops/t.h", {.own = {}, .foreign = {"ATen/core/Tensor.h"}}},
      {"base/a.h", {.own = {"base/a.h", "base/b.h"}, .foreign = {}}},
      {"base/b.h", {.own = {"base/a.h"}, .foreign = {"vector"}}},
      {"base/c.h", {.own = {}, .foreign = {"c10/core/Device.h"}}},
      {"tokenizer/d.cpp", {.own = {"base/b.h", "ops/t.h"}, .foreign = {}}},
  };
  EXPECT_EQ(
      tensor_includes(tree, kTensorFree),
      (Lines{"base/c.h -> c10/core/Device.h", "tokenizer/d.cpp -> ops/t.h -> ATen/core/Tensor.h"}));
}

}  // namespace
}  // namespace tigerbot::testing
