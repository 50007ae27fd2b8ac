#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "base/json.h"
#include "model/config.h"
#include "model/recompute.h"

namespace tigerbot::train {

/// What a run asks of the machine.
struct RunShape {
  std::int64_t parameters = 0;          ///< of the model
  std::int64_t trained_parameters = 0;  ///< that training changes
  std::int64_t layer_weights = 0;       ///< elements of the layers' matrices
  std::int64_t quantized_weights = 0;   ///< those of them that stay quantized,
  std::uint64_t quantized_bytes = 0;    ///< and what these take
  at::ScalarType dtype = at::kBFloat16;
  std::int64_t micro_batch_tokens = 0;
  std::int64_t sequence_length = 0;
  bool adds_up_gradients = false;  ///< several micro-batches a step
  ActivationCheckpointing checkpointing = ActivationCheckpointing::kNone;
};

/// Bytes that training needs at its highest, and what for.
struct MemoryEstimate {
  std::uint64_t weights = 0, optimizer = 0, gradients = 0, activations = 0;
  std::uint64_t total() const { return weights + optimizer + gradients + activations; }
};
MemoryEstimate estimate_memory(const ModelConfig& config, const RunShape& shape);

/// Arithmetic of one token of training, in operations (a multiplication and an addition are two):
/// products with the layers' weights and the output layer, and attention at half of the length on
/// average. Work that is done a second time to save memory does not count (PaLM's MFU, Chowdhery et
/// al. 2022). Frozen weights need no gradient of their own.
double flops_per_token(const ModelConfig& config, const RunShape& shape);

/// Operations a second of this machine's dense products at the model's own shapes, measured in
/// about half a second.
double measure_dense_peak(const ModelConfig& config, at::ScalarType dtype);

/// Bytes that a process may still take: the machine's, or the limit of its control group.
std::uint64_t available_memory();

/// Bytes of memory that this process holds.
std::uint64_t resident_memory();

}  // namespace tigerbot::train
