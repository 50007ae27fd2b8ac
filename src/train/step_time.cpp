#include "train/step_time.h"

#include <torch/csrc/autograd/autograd.h>

#include <algorithm>
#include <chrono>

#include "base/error.h"
#include "train/cost.h"
#include "train/optimizer.h"

namespace tigerbot::train {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

struct StepTime {
  double gradients = 0;  ///< forward and backward pass of the micro-batch
  double update = 0;
};

/// The best of a few steps of a model like the run's with so many layers.
StepTime time_of_layers(const Recipe& recipe, const ModelParts& parts, std::int64_t layers,
                        Objective& objective, const MicroBatch& micro) {
  ModelConfig config = parts.config;
  config.num_hidden_layers = layers;
  const std::unique_ptr<Decoder> model =
      make_decoder(config, random_weights(recipe.train.seed, 0.02), parts.dtype, at::kCPU,
                   parts.quantized(recipe));
  model->set_activation_checkpointing(recipe.train.activation_checkpointing);
  std::unique_ptr<LoraAdapters> adapters;
  std::vector<TrainedParameter> trained;
  if (recipe.lora) {
    const LoraOptions options =
        recipe.lora_adapter.empty()
            ? *recipe.lora
            : LoraAdapters::load(*hollow_decoder(parts.config), recipe.lora_adapter)->options();
    adapters = std::make_unique<LoraAdapters>(*model, options);
    trained = adapters->parameters();
  } else {
    trained = choose_parameters(*model, recipe.model.trainable, recipe.path.string());
  }
  Optimizer optimizer(std::move(trained), recipe.train.optimizer);
  StepTime best{1e300, 1e300};
  for (int round = 0; round < 4; ++round) {
    optimizer.begin_step(1);
    const auto start = Clock::now();
    torch::autograd::backward({objective.loss(*model, micro).loss}, {});
    const double gradients = seconds_since(start);
    const auto updating = Clock::now();
    optimizer.step(0, optimizer.gradient_norm());
    if (round == 0) continue;  // memory was fresh
    best.gradients = std::min(best.gradients, gradients);
    best.update = std::min(best.update, seconds_since(updating));
  }
  return best;
}

}  // namespace

std::optional<double> measure_step_seconds(const Recipe& recipe, const ModelParts& parts,
                                           Objective& objective, const StepBatch& batch) {
  // Many layers against one: the small difference of two would be mostly noise.
  constexpr std::int64_t kManyLayers = 6;
  const std::int64_t all = parts.config.num_hidden_layers;
  const std::int64_t many = std::min(all, kManyLayers);
  ModelConfig config = parts.config;
  config.num_hidden_layers = many;
  RunShape shape;
  for (const Parameter& parameter : hollow_decoder(config)->parameters()) {
    std::int64_t count = 1;
    for (const std::int64_t size : parameter.shape) count *= size;
    shape.parameters += count;
  }
  shape.trained_parameters = shape.parameters;
  shape.dtype = parts.dtype;
  const MicroBatch& micro = batch.micro_batches.front();
  shape.micro_batch_tokens = static_cast<std::int64_t>(micro.ids.size());
  shape.checkpointing = recipe.train.activation_checkpointing;
  if (estimate_memory(config, shape).total() > available_memory()) return std::nullopt;
  StepTime one, several;
  try {
    one = time_of_layers(recipe, parts, 1, objective, micro);
    several = many > 1 ? time_of_layers(recipe, parts, many, objective, micro) : one;
  } catch (const Error&) {
    return std::nullopt;  // the recipe trains parameters of higher layers
  }
  const double layers =
      many > 1 ? static_cast<double>(all - many) / static_cast<double>(many - 1) : 0;
  const auto whole = [&](double first, double last) {
    return last + std::max(0.0, last - first) * layers;
  };
  const double micro_batches =
      static_cast<double>(batch.tokens) / static_cast<double>(micro.ids.size());
  return whole(one.gradients, several.gradients) * micro_batches +
         whole(one.update, several.update);
}

}  // namespace tigerbot::train
