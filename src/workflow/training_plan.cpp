#include "workflow/training_plan.h"

#include <algorithm>
#include <cmath>
#include <optional>

#include "base/error.h"
#include "base/files.h"
#include "base/text.h"
#include "train/recipe.h"
#include "train/run_shape.h"

namespace tigerbot::workflow {
namespace {

namespace fs = std::filesystem;

std::optional<ModelConfig> shape_of(const Stage& stage, const train::Recipe& recipe) {
  fs::path config = stage.shape;
  if (config.empty()) config = recipe.model.config;
  if (config.empty()) config = fs::path(recipe.model.path) / "config.json";
  if (!fs::exists(config)) return std::nullopt;
  ModelConfig shape = parse_model_config(read_file(config), config.string());
  if (recipe.model.rope_theta) shape.rope_theta = *recipe.model.rope_theta;
  if (recipe.model.max_position_embeddings) {
    shape.max_position_embeddings = *recipe.model.max_position_embeddings;
  }
  return shape;
}

void check_cluster(const Cluster& cluster, const ModelConfig& shape, const train::Recipe& recipe) {
  if (shape.num_attention_heads % cluster.tensor != 0) {
    fail("cluster.tensor is {}, which does not divide the model's {} attention heads",
         cluster.tensor, shape.num_attention_heads);
  }
  if (cluster.pipeline > shape.num_hidden_layers) {
    fail("cluster.pipeline is {}, and the model has {} layers", cluster.pipeline,
         shape.num_hidden_layers);
  }
  const std::int64_t at_once =
      recipe.data.sequence_length * recipe.train.micro_batch_sequences * cluster.data;
  if (recipe.train.global_batch_tokens < at_once) {
    fail("train.global_batch_tokens is {}, and {} data ranks take {} at once",
         recipe.train.global_batch_tokens, cluster.data, at_once);
  }
}

/// Of one device: a part of the layers and of each matrix, and of the optimizer's state what its
/// data rank holds. The first stage of a pipeline holds the activations of as many micro-batches as
/// there are stages, each of its share of the layers: as much as all layers of one.
train::MemoryEstimate memory_of_device(train::MemoryEstimate memory, const Cluster& cluster) {
  const auto parts = static_cast<std::uint64_t>(cluster.tensor * cluster.pipeline);
  memory.weights /= parts;
  memory.gradients /= parts;
  memory.optimizer /= parts;
  if (cluster.shards_optimizer) memory.optimizer /= static_cast<std::uint64_t>(cluster.data);
  memory.activations /= static_cast<std::uint64_t>(cluster.tensor);
  return memory;
}

}  // namespace

Json plan_training(const Stage& stage, const fs::path& path) {
  const train::Recipe recipe = train::read_recipe(path, train::Files::kMayBeMissing);
  const std::int64_t length = recipe.data.sequence_length;
  const std::int64_t step =
      std::max<std::int64_t>(1, recipe.train.global_batch_tokens / length) * length;
  Json plan = {{"tokens_per_step", step}};
  std::int64_t steps = recipe.train.steps;
  if (stage.budget.tokens > 0) {
    steps = std::max<std::int64_t>(1, (stage.budget.tokens + step / 2) / step);
  }
  if (steps > 0 && stage.budget.minutes == 0) {
    plan["steps"] = steps;
    plan["tokens"] = steps * step;
    plan["warmup_steps"] = recipe.train.warmup_steps.value_or(static_cast<std::int64_t>(
        std::ceil(recipe.train.warmup_share * static_cast<double>(steps))));
  } else if (stage.budget.minutes > 0) {
    plan["length"] = fmt::format("{} minutes hold", stage.budget.minutes);
  } else {
    plan["length"] = fmt::format("{} epochs of its data make", recipe.data.epochs);
  }
  const std::optional<ModelConfig> shape = shape_of(stage, recipe);
  if (!shape) return plan;
  const at::ScalarType dtype = recipe.model.dtype == "float32" ? at::kFloat : at::kBFloat16;
  const train::RunShape run = train::make_run_shape(recipe, *shape, dtype);
  train::MemoryEstimate memory = train::estimate_memory(*shape, run);
  if (stage.cluster) {
    const Cluster& cluster = *stage.cluster;
    check_cluster(cluster, *shape, recipe);
    memory = memory_of_device(memory, cluster);
    plan["cluster"] = {{"devices", cluster.devices()},
                       {"tensor", cluster.tensor},
                       {"pipeline", cluster.pipeline},
                       {"data", cluster.data}};
    if (cluster.device_memory > 0) {
      plan["cluster"]["device_memory"] = cluster.device_memory;
      if (memory.total() > cluster.device_memory) {
        fail(
            "each device would hold {} (weights {}, optimizer {}, gradients {}, activations {}) "
            "and has {}; more tensor, pipeline or data ranks, or activation_checkpointing, take "
            "less",
            format_bytes(memory.total()), format_bytes(memory.weights),
            format_bytes(memory.optimizer), format_bytes(memory.gradients),
            format_bytes(memory.activations), format_bytes(cluster.device_memory));
      }
    }
  }
  plan["parameters"] = run.parameters;
  plan["trained_parameters"] = run.trained_parameters;
  plan["memory"] = {{"weights", memory.weights},
                    {"optimizer", memory.optimizer},
                    {"gradients", memory.gradients},
                    {"activations", memory.activations},
                    {"total", memory.total()}};
  return plan;
}

}  // namespace tigerbot::workflow
