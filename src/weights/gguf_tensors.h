#pragma once

#include <ATen/core/Tensor.h>

#include <memory>

#include "base/memory_map.h"
#include "model/config.h"
#include "weights/gguf_file.h"
#include "weights/gguf_names.h"
#include "weights/tensor_set.h"

namespace tigerbot {

/// A GGUF file in memory: the map and its header, whose views point into the map.
struct GgufFile {
  explicit GgufFile(const std::filesystem::path& path)
      : map(path), header(parse_gguf_header(map.bytes(), path.string())) {}

  MemoryMap map;
  GgufHeader header;
};

/// The values of a tensor with its rows in Hugging Face's order. F32, F16 and BF16 keep their type
/// and alias the map where the order is the same (the tensor then keeps `file` alive); the
/// quantized types become `quantized_type` (float32, bfloat16 or float16), computed on all threads.
at::Tensor load_gguf_tensor(const std::shared_ptr<const GgufFile>& file,
                            const GgufTensorInfo& tensor, const MappedName& name,
                            at::ScalarType quantized_type);

/// The tensors under their Hugging Face names. rope_freqs.weight belongs to the configuration and
/// is left out; a tensor that this kind of model does not have is an Error.
TensorSet open_gguf_tensors(const std::shared_ptr<const GgufFile>& file, const ModelConfig& config);

}  // namespace tigerbot
