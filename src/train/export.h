#pragma once

#include <filesystem>
#include <string>

#include "train/lora.h"

namespace tigerbot::train {

/// Writes the model of a checkpoint as others read it: a Hugging Face directory, or, of a run that
/// trained adapters, PEFT's directory (`merge`: the whole model with the adapters merged). What a
/// run left untouched comes from the model that it started with, which must still be there.
/// `destination` appears whole or not at all; an Error if it is there.
void export_checkpoint(const std::filesystem::path& checkpoint,
                       const std::filesystem::path& destination, bool merge);

}  // namespace tigerbot::train
