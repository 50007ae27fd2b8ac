#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "weights/tensor_set.h"

namespace tigerbot {

/// The tensors of one safetensors file, mapped into memory: nothing is copied until it is touched.
TensorSet open_safetensors(const std::filesystem::path& file);

/// The tensors of a Hugging Face directory: model.safetensors, or the shards that
/// model.safetensors.index.json lists. A missing shard or tensor is an Error that names it.
TensorSet open_safetensors_folder(const std::filesystem::path& folder);

/// The ATen type of a type's name ("BF16"); nothing where there is none.
std::optional<at::ScalarType> scalar_type_named(std::string_view name);

/// A tensor to be written. Its values are asked for when their turn comes, so that a model is never
/// in memory whole.
struct TensorToWrite {
  std::string name;
  std::vector<std::int64_t> shape;
  at::ScalarType type = at::kFloat;  ///< the type of what load() gives
  std::function<at::Tensor()> load;
};

/// Writes one file, whole or not at all.
void write_safetensors(const std::filesystem::path& file, const std::vector<TensorToWrite>& tensors,
                       const std::map<std::string, std::string>& metadata = {{"format", "pt"}});

/// Writes model.safetensors into `folder`, or, where the data exceed `max_shard_bytes`, shards
/// model-00001-of-0000N.safetensors with model.safetensors.index.json. A tensor larger than a shard
/// gets its own.
void write_safetensors_folder(const std::filesystem::path& folder,
                              const std::vector<TensorToWrite>& tensors,
                              std::uint64_t max_shard_bytes);

}  // namespace tigerbot
