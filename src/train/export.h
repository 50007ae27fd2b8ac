#pragma once

#include <filesystem>
#include <string>

#include "train/lora.h"
#include "weights/model_files.h"

namespace tigerbot::train {

/// Writes the model of a checkpoint as others read it: a Hugging Face directory, or, of a run that
/// trained adapters, PEFT's directory (`merge`: the whole model with the adapters merged). What a
/// run left untouched comes from the model that it started with, which must still be there.
/// `destination` appears whole or not at all; an Error if it is there.
void export_checkpoint(const std::filesystem::path& checkpoint,
                       const std::filesystem::path& destination, bool merge);

/// Whether this is PEFT's directory of an adapter.
bool is_adapter(const std::filesystem::path& folder);

/// The same whole model of an adapter's directory, with the base that its adapter_config.json
/// names, or `base` where that is given, in the base's type.
void export_merged(const std::filesystem::path& adapter, const std::filesystem::path& base,
                   const std::filesystem::path& destination);

/// The weights of `base` with the adapters of PEFT's directory added. What is quantized becomes
/// float32 first, so that a merged weight is rounded once, by whoever takes it.
TensorSource merged_source(const ModelFiles& base, const std::filesystem::path& adapter);

}  // namespace tigerbot::train
