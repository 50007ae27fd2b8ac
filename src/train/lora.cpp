#include "train/lora.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "base/files.h"
#include "base/json.h"
#include "base/random.h"
#include "base/text.h"
#include "weights/safetensors.h"

namespace tigerbot::train {
namespace {

constexpr std::uint64_t kInitStream = 0x10A'0000'0000;
constexpr std::uint64_t kDropoutStream = 0xD20'0000'0000;

bool is_target(const std::string& name, const std::vector<std::string>& targets) {
  return std::ranges::any_of(targets, [&](const std::string& target) {
    return target == "all-linear" || name == target || name.ends_with("." + target);
  });
}

at::Tensor uniform(std::int64_t rows, std::int64_t columns, double bound, std::uint64_t seed,
                   std::uint64_t stream) {
  at::Tensor tensor = at::empty({rows, columns}, at::kFloat);
  auto* values = tensor.mutable_data_ptr<float>();
  for (std::int64_t i = 0; i < tensor.numel(); ++i) {
    const double u = random_uniform_double({seed, stream, static_cast<std::uint64_t>(i)});
    values[i] = static_cast<float>((2 * u - 1) * bound);
  }
  return tensor;
}

}  // namespace

LoraAdapters::LoraAdapters(Decoder& model, const LoraOptions& options)
    : options_(options), clock_(std::make_shared<DropoutClock>()) {
  if (options.rank < 1) fail("lora.rank must be at least 1");
  if (!(options.dropout >= 0 && options.dropout < 1)) fail("lora.dropout must be in [0, 1)");
  freeze(model);
  clock_->seed = options.seed;
  for (const std::string& target : options.target_modules) {
    const std::vector<Linear*> all = model.linears();
    if (std::ranges::any_of(all, [&](Linear* one) { return is_target(one->name(), {target}); })) {
      continue;
    }
    std::vector<std::string> names;
    for (const Linear* one : all) names.push_back(one->name().substr(one->name().rfind('.') + 1));
    fail("lora.target_modules: the model has no {}{}", quote(target), did_you_mean(target, names));
  }
  const at::Tensor& output = model.output_weight();
  const at::TensorOptions like =
      output.defined() ? output.options() : at::TensorOptions(at::kFloat);
  std::uint64_t number = 0;
  for (Linear* linear : model.linears()) {
    ++number;
    if (!is_target(linear->name(), options.target_modules)) continue;
    auto adapter = std::make_shared<LowRankAdapter>();
    const double bound = 1 / std::sqrt(static_cast<double>(linear->in_features()));
    adapter->a =
        uniform(options.rank, linear->in_features(), bound, options.seed, kInitStream + number)
            .to(like)
            .set_requires_grad(true);
    adapter->b = at::zeros({linear->out_features(), options.rank}, like).set_requires_grad(true);
    adapter->scale = options.alpha / static_cast<double>(options.rank);
    adapter->dropout = options.dropout;
    adapter->stream = kDropoutStream + number;
    adapter->clock = clock_;
    linear->set_adapter(adapter);
    entries_.push_back({linear, "base_model.model." + linear->name(), adapter});
  }
}

std::vector<TrainedParameter> LoraAdapters::parameters() {
  std::vector<TrainedParameter> list;
  for (Entry& entry : entries_) {
    for (const bool is_a : {true, false}) {
      at::Tensor& tensor = is_a ? entry.adapter->a : entry.adapter->b;
      TrainedParameter parameter;
      parameter.name = entry.name + (is_a ? ".lora_A.weight" : ".lora_B.weight");
      parameter.shape = tensor.sizes().vec();
      parameter.rows = tensor.size(0);
      parameter.tensor = &tensor;
      list.push_back(std::move(parameter));
    }
  }
  return list;
}

std::unique_ptr<LoraAdapters> LoraAdapters::load(Decoder& model,
                                                 const std::filesystem::path& folder) {
  const auto config_path = folder / "adapter_config.json";
  const Json config = read_json_file(config_path);
  JsonReader reader(config, config_path.string());
  LoraOptions options;
  if (const auto type = reader.get<std::string>("peft_type"); type != "LORA") {
    fail("{}: peft_type is {}; only LORA is known", config_path.string(), quote(type));
  }
  options.rank = reader.get<std::int64_t>("r");
  options.alpha = reader.get<double>("lora_alpha");
  options.dropout = reader.get<double>("lora_dropout", 0.0);
  if (reader.value().contains("target_modules") && reader.value()["target_modules"].is_string()) {
    options.target_modules = {reader.get<std::string>("target_modules")};
  } else {
    options.target_modules = reader.get<std::vector<std::string>>("target_modules");
  }
  for (const char* variant : {"use_dora", "use_rslora"}) {
    if (reader.get<bool>(variant, false)) {
      fail("{}: {} is not known here; plain LoRA is", config_path.string(), variant);
    }
  }
  auto adapters = std::make_unique<LoraAdapters>(model, options);
  const TensorSet tensors = open_safetensors(folder / "adapter_model.safetensors");
  const at::NoGradGuard no_grad;
  std::size_t used = 0;
  for (const TrainedParameter& parameter : adapters->parameters()) {
    parameter.tensor->copy_(
        tensors.get(parameter.name, parameter.shape, at::kFloat, folder.string()));
    ++used;
  }
  if (used != tensors.tensors().size()) {
    fail("{}: {} of its {} tensors have no place in this model", folder.string(),
         tensors.tensors().size() - used, tensors.tensors().size());
  }
  return adapters;
}

Json lora_config(const LoraOptions& options, const std::string& base_model) {
  // PEFT knows this one name as a string alone; in a list it would be a module's.
  const bool all = options.target_modules == std::vector<std::string>{"all-linear"};
  return {{"base_model_name_or_path", base_model},
          {"bias", "none"},
          {"fan_in_fan_out", false},
          {"inference_mode", true},
          {"init_lora_weights", true},
          {"lora_alpha", options.alpha},
          {"lora_dropout", options.dropout},
          {"modules_to_save", nullptr},
          {"peft_type", "LORA"},
          {"r", options.rank},
          {"target_modules", all ? Json("all-linear") : Json(options.target_modules)},
          {"task_type", "CAUSAL_LM"}};
}

void LoraAdapters::save(const std::filesystem::path& folder, const std::string& base_model) const {
  create_folders(folder);
  write_file(folder / "adapter_config.json", lora_config(options_, base_model).dump(2) + "\n");
  std::vector<TensorToWrite> tensors;
  for (const Entry& entry : entries_) {
    for (const bool is_a : {true, false}) {
      const at::Tensor tensor = (is_a ? entry.adapter->a : entry.adapter->b).detach();
      tensors.push_back({entry.name + (is_a ? ".lora_A.weight" : ".lora_B.weight"),
                         tensor.sizes().vec(), tensor.scalar_type(), [tensor] { return tensor; }});
    }
  }
  write_safetensors(folder / "adapter_model.safetensors", tensors);
}

void LoraAdapters::merge(Decoder& model) {
  const at::NoGradGuard no_grad;
  for (const Entry& entry : entries_) {
    if (!entry.linear->is_quantized()) continue;
    fail_internal("{} is quantized; merged_source adds adapters to such weights", entry.name);
  }
  for (const Parameter& parameter : model.parameters()) {
    const auto entry = std::ranges::find_if(entries_, [&](const Entry& one) {
      return parameter.name == one.linear->name() + ".weight";
    });
    if (entry == entries_.end()) continue;
    const at::Tensor merged = parameter.tensor->to(at::kFloat) + adapter_product(*entry->adapter);
    *parameter.tensor = merged.to(parameter.tensor->scalar_type());
    entry->linear->set_adapter(nullptr);
  }
  entries_.clear();
}

}  // namespace tigerbot::train
