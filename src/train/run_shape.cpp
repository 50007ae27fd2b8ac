#include "train/run_shape.h"

#include <memory>

#include "train/lora.h"
#include "train/run_parts.h"
#include "train/trained_parameters.h"

namespace tigerbot::train {
namespace {

/// The elements of a model of this shape, all and those of the layers' matrices.
struct Elements {
  std::int64_t all = 0, layers = 0;
};
Elements count_model(Decoder& model) {
  Elements elements;
  for (const Parameter& parameter : model.parameters()) {
    std::int64_t count = 1;
    for (const std::int64_t size : parameter.shape) count *= size;
    elements.all += count;
  }
  for (const Linear* linear : model.linears()) {
    elements.layers += linear->in_features() * linear->out_features();
  }
  return elements;
}

}  // namespace

RunShape make_run_shape(const Recipe& recipe, const ModelConfig& config, at::ScalarType dtype) {
  const std::unique_ptr<Decoder> hollow = hollow_decoder(config);
  const Elements elements = count_model(*hollow);
  RunShape shape;
  shape.parameters = elements.all;
  shape.layer_weights = elements.layers;
  if (!recipe.lora) {
    shape.trained_parameters = count_elements(choose_parameters(
        *hollow, recipe.model.trainable, recipe.path.string() + ": model.trainable"));
  } else if (recipe.lora_adapter.empty()) {
    shape.trained_parameters = count_elements(LoraAdapters(*hollow, *recipe.lora).parameters());
  } else {
    shape.trained_parameters =
        count_elements(LoraAdapters::load(*hollow, recipe.lora_adapter)->parameters());
  }
  shape.dtype = dtype;
  shape.sequence_length = recipe.data.sequence_length;
  shape.micro_batch_tokens = recipe.data.sequence_length * recipe.train.micro_batch_sequences;
  shape.adds_up_gradients = recipe.train.global_batch_tokens >= 2 * shape.micro_batch_tokens;
  shape.checkpointing = recipe.train.activation_checkpointing;
  return shape;
}

}  // namespace tigerbot::train
