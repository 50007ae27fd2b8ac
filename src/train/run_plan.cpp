// What a run would take: parameters, memory, steps, time.

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "base/text.h"
#include "train/run.h"
#include "train/run_shape.h"
#include "train/step_time.h"

namespace tigerbot::train {
RunShape Run::make_shape() const {
  RunShape shape = make_run_shape(recipe_, parts_.config, parts_.dtype);
  if (!recipe_.lora || parts_.from_scratch) return shape;
  const std::unique_ptr<Decoder> empty = make_empty_decoder(parts_.config);
  for (const Linear* linear : empty->linears()) {
    const StoredTensor* stored = parts_.files.tensors->find(linear->name() + ".weight");
    if (!stored || !stored->load_quantized) continue;
    const std::int64_t elements = element_count(stored->shape);
    // Packed codes take half a byte up to 4 bits and a whole one above, whatever the file does.
    const std::uint64_t whole = static_cast<std::uint64_t>(elements) * 17 / 16;
    shape.quantized_weights += elements;
    shape.quantized_bytes += stored->bytes * 8 > static_cast<std::uint64_t>(elements) * 5
                                 ? std::max(stored->bytes, whole)
                                 : stored->bytes;
  }
  return shape;
}

Json Run::plan() {
  const RunShape& run = shape_;
  const MemoryEstimate memory = estimate_memory(parts_.config, run);
  const double operations = flops_per_token(parts_.config, run);
  dense_peak_ = measure_dense_peak(parts_.config, parts_.dtype);
  const std::int64_t step_tokens =
      std::max<std::int64_t>(1, recipe_.train.global_batch_tokens / run.sequence_length) *
      run.sequence_length;
  const double tokens = static_cast<double>(step_tokens) * static_cast<double>(total_steps_);
  std::optional<double> step_seconds;
  if (memory.total() <= available_memory()) {
    if (const StepBatch batch = objective_->next_step(); !batch.empty()) {
      step_seconds = measure_step_seconds(recipe_, parts_, *objective_, batch);
    }
  }
  return {
      {"objective", objective_->name()},
      {"parameters", run.parameters},
      {"trained_parameters", run.trained_parameters},
      {"memory",
       {{"weights", memory.weights},
        {"optimizer", memory.optimizer},
        {"gradients", memory.gradients},
        {"activations", memory.activations},
        {"total", memory.total()},
        {"available", available_memory()}}},
      {"steps", total_steps_},
      {"warmup_steps", schedule().warmup_steps},
      {"tokens_per_step", step_tokens},
      {"tokens", static_cast<std::int64_t>(tokens)},
      {"operations_per_token", operations},
      {"dense_peak", dense_peak_},
      {"step_seconds", step_seconds ? Json(*step_seconds) : Json()},
      {"seconds", step_seconds ? Json(*step_seconds * static_cast<double>(total_steps_)) : Json()},
      {"data", objective_->manifest()}};
}

void Run::check_memory() {
  const MemoryEstimate memory = estimate_memory(parts_.config, shape_);
  const std::uint64_t available = available_memory();
  if (memory.total() <= available) return;
  fail(
      "{}: training needs about {} (weights {}, optimizer {}, gradients {}, activations {}) and {} "
      "are free; a smaller train.micro_batch_sequences, train.activation_checkpointing, or [lora] "
      "take less",
      recipe_.path.string(), format_bytes(memory.total()), format_bytes(memory.weights),
      format_bytes(memory.optimizer), format_bytes(memory.gradients),
      format_bytes(memory.activations), format_bytes(available));
}

}  // namespace tigerbot::train
