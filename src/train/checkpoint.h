#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/json.h"
#include "train/optimizer.h"

namespace tigerbot::train {

/// One file of a checkpoint: tensors, each a slice of a whole parameter.
struct CheckpointTensor {
  std::string name;                 ///< "model.norm.weight", "model.norm.weight.first_moment"
  std::vector<std::int64_t> shape;  ///< of the whole
  std::int64_t first_row = 0;       ///< where the slice begins in the first dimension
  at::Tensor values;                ///< the slice
  at::Tensor low;                   ///< with `values` bfloat16: values are written as their masters
};

/// A training run at the end of a step: all that is needed to go on as if it had never stopped.
struct CheckpointData {
  std::vector<CheckpointTensor> parameters;
  std::vector<CheckpointTensor> optimizer;
  Json state;  ///< everything but tensors
  /// Small files that go along: config.json, the tokenizer.
  std::filesystem::path companions;

  std::uint64_t bytes() const;
};

/// What the optimizer holds, by reference or (`copy`) as copies that training may leave behind.
void collect_tensors(const Optimizer& optimizer, bool copy, CheckpointData& data);

/// Writes `folder` whole or not at all:
///   parameters-RANK-of-RANKS.safetensors   weights by the model's own names
///   optimizer-RANK-of-RANKS.safetensors    NAME.master, NAME.first_moment, NAME.second_moment
///   state.json                             step, counters, data position, recipe, hashes
///   model/                                 the companions
/// Each tensor's whole shape and first row stand in the safetensors metadata, so that any number of
/// ranks can load what any other number wrote.
void write_checkpoint(const std::filesystem::path& folder, const CheckpointData& data);

/// A checkpoint that was read and found whole: sizes and hashes are right.
struct OpenCheckpoint {
  std::filesystem::path folder;
  Json state;
};

/// Opens a checkpoint; one that is damaged is an Error that says how.
OpenCheckpoint open_checkpoint(const std::filesystem::path& folder);

/// The newest whole checkpoint under `folder` (step-00001000, ...); nothing if there is none. Each
/// damaged one that is passed over is handed to `damaged`.
std::optional<OpenCheckpoint> find_checkpoint(
    const std::filesystem::path& folder,
    const std::function<void(const std::string& message)>& damaged);

/// Fills weights, masters and moments. A checkpoint of other parameters is an Error.
void load_tensors(const OpenCheckpoint& checkpoint, Optimizer& optimizer);

/// Removes all but the newest `keep_last` checkpoints and the one whose validation loss is lowest.
void prune_checkpoints(const std::filesystem::path& folder, std::int64_t keep_last);

/// "step-00001000".
std::string checkpoint_name(std::int64_t step);

/// The folders of checkpoints under `folder`, oldest first.
std::vector<std::filesystem::path> list_checkpoints(const std::filesystem::path& folder);

/// Whether `path` is a training checkpoint.
bool is_checkpoint(const std::filesystem::path& path);

}  // namespace tigerbot::train
