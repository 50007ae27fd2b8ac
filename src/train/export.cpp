#include "train/export.h"

#include <map>

#include "base/error.h"
#include "base/files.h"
#include "model/decoder.h"
#include "train/checkpoint.h"
#include "weights/model_files.h"
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
                                  const ModelConfig& config, at::ScalarType dtype) {
  const std::unique_ptr<Decoder> model = make_decoder(config, base.source(dtype), dtype);
  LoraAdapters::load(*model, adapter)->merge(*model);
  std::vector<TensorToWrite> tensors;
  for (const Parameter& parameter : model->parameters()) {
    tensors.push_back(writable(parameter.name, parameter.tensor->detach()));
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
  const auto config_path = path / "model" / "config.json";
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
      const ModelConfig config = parse_model_config(read_file(config_path), config_path.string());
      tensors = merged(adapter, base, config, dtype);
      std::filesystem::remove_all(adapter);
    }
  }
  write_safetensors_folder(folder.path(), tensors, kShardBytes);
  folder.commit();
}

}  // namespace tigerbot::train
