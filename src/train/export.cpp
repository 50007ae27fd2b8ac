#include "train/export.h"

#include <ATen/TensorOperators.h>

#include <map>

#include "base/error.h"
#include "base/files.h"
#include "infer/language_model.h"
#include "model/decoder.h"
#include "train/checkpoint.h"
#include "weights/convert.h"
#include "weights/hub/models.h"
#include "weights/safetensors.h"
#include "weights/safetensors_header.h"

namespace tigerbot::train {
namespace {

constexpr std::uint64_t kShardBytes = 5'000'000'000;

TensorToWrite writable(const std::string& name, const at::Tensor& tensor) {
  return {name, tensor.sizes().vec(), tensor.scalar_type(),
          [tensor] { return tensor.contiguous(); }};
}

/// The base model's tensors with the checkpoint's rows in their places.
std::vector<TensorToWrite> overlaid(const OpenCheckpoint& checkpoint, const TensorSet& trained,
                                    const ModelFiles& base, at::ScalarType dtype) {
  std::vector<TensorToWrite> tensors;
  const TensorSource source = base.source(dtype);
  const Json parts = checkpoint.state.at("slices");
  for (const StoredTensor& stored : base.tensors->tensors()) {
    const StoredTensor* changed = trained.find(stored.name);
    const auto whole = [source, stored, dtype] {
      return source(stored.name, stored.shape).to(dtype).contiguous();
    };
    if (!changed) {
      tensors.push_back({stored.name, stored.shape, dtype, whole});
      continue;
    }
    const auto first_row = parts.at(changed->name).get<std::int64_t>();
    const at::Tensor rows = changed->load(dtype);
    tensors.push_back({stored.name, stored.shape, dtype, [whole, rows, first_row] {
                         at::Tensor result = whole().clone();
                         result.narrow(0, first_row, rows.size(0)).copy_(rows);
                         return result;
                       }});
  }
  return tensors;
}

std::vector<TensorToWrite> merged(const std::filesystem::path& adapter, const ModelFiles& base,
                                  at::ScalarType dtype) {
  const TensorSource source = merged_source(base, adapter);
  std::vector<TensorToWrite> tensors;
  const std::unique_ptr<Decoder> empty = make_empty_decoder(base.config);
  for (const Parameter& parameter : empty->parameters()) {
    tensors.push_back({parameter.name, parameter.shape, dtype,
                       [source, dtype, name = parameter.name, shape = parameter.shape] {
                         return source(name, shape).to(dtype).contiguous();
                       }});
  }
  return tensors;
}

void write_adapter(const OpenCheckpoint& checkpoint, const TensorSet& trained,
                   const std::filesystem::path& folder) {
  write_file(folder / "adapter_config.json", checkpoint.state.at("lora").dump(2) + "\n");
  std::vector<TensorToWrite> tensors;
  for (const StoredTensor& stored : trained.tensors()) {
    tensors.push_back(writable(stored.name, stored.load(at::kFloat)));
  }
  write_safetensors(folder / "adapter_model.safetensors", tensors);
}

}  // namespace

void export_checkpoint(const std::filesystem::path& path, const std::filesystem::path& destination,
                       bool merge) {
  if (std::filesystem::exists(destination)) {
    fail("{}: is there already; choose another name or remove it", destination.string());
  }
  const OpenCheckpoint checkpoint = open_checkpoint(path);
  const TensorSet trained = open_safetensors(path / "parameters-00000-of-00001.safetensors");
  JsonReader reader(checkpoint.state, (path / "state.json").string());
  const auto kind = reader.get<std::string>("kind");
  const auto base_path = reader.get<std::string>("base_model");
  const at::ScalarType dtype =
      reader.get<std::string>("dtype") == "float32" ? at::kFloat : at::kBFloat16;
  AtomicFolder folder(destination);
  if (kind == "lora" && !merge) {
    write_adapter(checkpoint, trained, folder.path());
    folder.commit();
    return;
  }
  std::filesystem::copy(
      path / "model", folder.path(),
      std::filesystem::copy_options::recursive | std::filesystem::copy_options::overwrite_existing);
  std::vector<TensorToWrite> tensors;
  if (kind == "full") {
    for (const StoredTensor& stored : trained.tensors()) {
      tensors.push_back(writable(stored.name, stored.load(at::kFloat)));
    }
  } else {
    const ModelFiles base = open_model(base_path);
    if (kind == "partial") {
      tensors = overlaid(checkpoint, trained, base, dtype);
    } else {
      const auto adapter = folder.path() / "adapter";
      create_folders(adapter);
      write_adapter(checkpoint, trained, adapter);
      tensors = merged(adapter, base, dtype);
      std::filesystem::remove_all(adapter);
    }
  }
  write_safetensors_folder(folder.path(), tensors, kShardBytes);
  folder.commit();
}

bool is_adapter(const std::filesystem::path& folder) {
  return std::filesystem::exists(folder / "adapter_config.json");
}

void export_merged(const std::filesystem::path& adapter, const std::filesystem::path& given,
                   const std::filesystem::path& destination) {
  if (std::filesystem::exists(destination)) {
    fail("{}: is there already; choose another name or remove it", destination.string());
  }
  std::string base_path = given.string();
  if (base_path.empty()) {
    const auto config_path = adapter / "adapter_config.json";
    const Json config = read_json_file(config_path);
    base_path =
        JsonReader(config, config_path.string()).get<std::string>("base_model_name_or_path");
  }
  const ModelFiles base = open_model(resolve_model(base_path));
  const at::ScalarType dtype = default_dtype(base);
  AtomicFolder folder(destination);
  write_companions(base, folder.path(), dtype);
  write_safetensors_folder(folder.path(), merged(adapter, base, dtype), kShardBytes);
  folder.commit();
}

TensorSource merged_source(const ModelFiles& base, const std::filesystem::path& adapter) {
  // The model is empty: only names and shapes are asked of it.
  const std::unique_ptr<Decoder> model = make_empty_decoder(base.config);
  const std::unique_ptr<LoraAdapters> adapters = LoraAdapters::load(*model, adapter);
  std::map<std::string, LowRankAdapter> by_weight;
  const std::string prefix = "base_model.model.";
  for (const TrainedParameter& parameter : adapters->parameters()) {
    const std::size_t end = parameter.name.rfind(".lora_");
    const std::string weight =
        parameter.name.substr(prefix.size(), end - prefix.size()) + ".weight";
    LowRankAdapter& one = by_weight[weight];
    (parameter.name.find(".lora_A.") == end ? one.a : one.b) = parameter.tensor->detach();
    one.scale = adapters->options().alpha / static_cast<double>(adapters->options().rank);
  }
  return [by_weight, source = base.source(at::kFloat)](const std::string& name,
                                                       const std::vector<std::int64_t>& shape) {
    const at::Tensor weight = source(name, shape);
    const auto found = by_weight.find(name);
    if (found == by_weight.end()) return weight;
    return weight.to(at::kFloat) + adapter_product(found->second);
  };
}

}  // namespace tigerbot::train
