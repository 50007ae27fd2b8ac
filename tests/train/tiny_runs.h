#pragma once

#include <ATen/Parallel.h>
#include <ATen/ops/equal.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <string>
#include <vector>

#include "base/files.h"
#include "base/text.h"
#include "parallel/communicator.h"
#include "train/recipe.h"
#include "train/trainer.h"
#include "weights/safetensors.h"

/// Running what train/tiny_run.h writes, and comparing what came of it.
namespace tigerbot::train::testing {

inline TrainResult run_in(const std::filesystem::path& folder) {
  at::set_num_threads(1);
  return train(read_recipe(folder / "recipe.toml"), *make_solo_communicator());
}

/// The numbers of a run that must not depend on when it was stopped.
inline std::vector<std::string> curve(const std::filesystem::path& folder) {
  std::vector<std::string> lines;
  const std::string text = read_file(folder / "run" / "metrics.jsonl");
  for (const std::string_view line : split(text, '\n')) {
    if (line.empty()) continue;
    const Json json = parse_json(line, "metrics");
    if (json.at("kind") != "train") continue;
    lines.push_back(fmt::format("{} {} {} {} {}", json.at("step").dump(), json.at("tokens").dump(),
                                json.at("loss").dump(), json.at("learning_rate").dump(),
                                json.at("gradient_norm").dump()));
  }
  return lines;
}

inline void expect_same_weights(const std::filesystem::path& a, const std::filesystem::path& b) {
  const TensorSet first = open_safetensors_folder(a);
  const TensorSet second = open_safetensors_folder(b);
  ASSERT_EQ(first.tensors().size(), second.tensors().size());
  for (const StoredTensor& tensor : first.tensors()) {
    const StoredTensor* other = second.find(tensor.name);
    ASSERT_NE(other, nullptr) << tensor.name;
    EXPECT_TRUE(at::equal(tensor.load(at::kFloat), other->load(at::kFloat))) << tensor.name;
  }
}

/// Checkpoints every three steps, two of them kept.
inline constexpr const char* kOften = "[checkpoint]\nevery_steps = 3\nkeep_last = 2\n";

}  // namespace tigerbot::train::testing
