#pragma once

#include "model/config.h"
#include "weights/gguf_writer.h"

namespace tigerbot {

/// Writes general.architecture and the keys under it, as llama.cpp reads them.
void add_gguf_config(GgufWriter& writer, const ModelConfig& config);

/// The value of general.file_type for matrices of this type.
std::int64_t gguf_file_type(GgmlType type);

}  // namespace tigerbot
