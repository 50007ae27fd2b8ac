#pragma once

#include "model/config.h"
#include "weights/gguf_tensors.h"

namespace tigerbot {

/// The model's shape as GGUF's metadata and tensors give it, checked as a config.json is. An
/// architecture that we do not run is an Error.
ModelConfig read_gguf_config(const GgufFile& file);

/// The factors that divide the rotary frequencies of a model with Llama 3's scaling, [head_dim /
/// 2], as GGUF stores them in rope_freqs.weight.
std::vector<float> llama3_frequency_factors(const ModelConfig& config);

}  // namespace tigerbot
