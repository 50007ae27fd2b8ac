// The batches of a recipe's first steps, so that another program can train on the same.
//
//   bench_training_batches RECIPE.toml STEPS > batches.jsonl
//
// One line a step: {"ids", "labels", "lengths"}, the micro-batches of a step one after another.
// bench/small_model.py runs it.

#include <cstdio>
#include <cstdlib>

#include "base/error.h"
#include "base/json.h"
#include "parallel/communicator.h"
#include "train/recipe.h"
#include "train/run_parts.h"

int main(int argc, char** argv) {
  using namespace tigerbot;
  if (argc != 3) {
    std::fprintf(stderr, "usage: bench_training_batches RECIPE.toml STEPS > batches.jsonl\n");
    return 2;
  }
  try {
    const train::Recipe recipe = train::read_recipe(argv[1]);
    const train::ModelParts parts = train::open_model_parts(recipe);
    const auto group = make_solo_communicator();
    const auto objective = train::make_objective(recipe, parts, *group);
    for (int step = 0; step < std::atoi(argv[2]); ++step) {
      const train::StepBatch batch = objective->next_step();
      if (batch.empty()) break;
      Json line = {{"ids", Json::array()}, {"labels", Json::array()}, {"lengths", Json::array()}};
      for (const train::MicroBatch& micro : batch.micro_batches) {
        for (const TokenId id : micro.ids) line["ids"].push_back(id);
        for (const std::int64_t label : micro.labels) line["labels"].push_back(label);
        for (const std::int64_t length : micro.lengths) line["lengths"].push_back(length);
      }
      std::printf("%s\n", line.dump().c_str());
    }
  } catch (const Error& error) {
    std::fprintf(stderr, "bench_training_batches: %s\n", error.what());
    return error.exit_status();
  }
  return 0;
}
