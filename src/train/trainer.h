#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "base/json.h"
#include "parallel/communicator.h"
#include "train/recipe.h"

namespace tigerbot::train {

/// What came of a run.
struct TrainResult {
  std::int64_t steps = 0;
  std::int64_t tokens = 0;  ///< that went through the model
  double loss = 0;          ///< of the last step
  std::int64_t skipped_steps = 0;
  std::filesystem::path model;  ///< the exported directory
};

/// What a run would take, without training: everything is read and checked.
///   parameters, trained_parameters, memory {weights, optimizer, gradients, activations, total,
///   available}, steps, tokens_per_step, tokens, operations_per_token, dense_peak, step_seconds and
///   seconds (measured; null where they cannot be: train/step_time.h), data.
Json plan_run(const Recipe& recipe, Communicator& group);

/// Runs a recipe, or goes on with it where its output folder holds a checkpoint. Writes into that
/// folder:
///   checkpoints/step-N/   the last few and the best (train/checkpoint.h)
///   metrics.jsonl, tensorboard/, report.html
///   final/ (or adapter/)  the trained model, once it is done
/// SIGINT and SIGTERM end the step that runs, write a checkpoint and end the run with an Error that
/// says so. A run that is whole already is an Error too.
TrainResult train(const Recipe& recipe, Communicator& group);

}  // namespace tigerbot::train
