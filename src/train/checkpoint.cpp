#include "train/checkpoint.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>

#include <algorithm>
#include <limits>
#include <map>

#include "base/error.h"
#include "base/files.h"
#include "base/hash.h"
#include "base/memory_map.h"
#include "ops/optimizer.h"
#include "weights/safetensors.h"
#include "weights/safetensors_header.h"

namespace tigerbot::train {
namespace {

constexpr const char* kParameters = "parameters-00000-of-00001.safetensors";
constexpr const char* kOptimizer = "optimizer-00000-of-00001.safetensors";
constexpr const char* kState = "state.json";
constexpr int kVersion = 1;

void write_tensors(const std::filesystem::path& file, const std::vector<CheckpointTensor>& list) {
  std::vector<TensorToWrite> tensors;
  std::map<std::string, std::string> metadata = {{"format", "pt"}};
  for (const CheckpointTensor& tensor : list) {
    metadata[tensor.name] = Json{{"shape", tensor.shape}, {"first_row", tensor.first_row}}.dump();
    const bool joins = tensor.low.defined();
    tensors.push_back({tensor.name, tensor.values.sizes().vec(),
                       joins ? at::kFloat : tensor.values.scalar_type(), [&tensor, joins] {
                         return joins ? ops::join_master(tensor.values, tensor.low).cpu()
                                      : tensor.values.cpu();
                       }});
  }
  write_safetensors(file, tensors, metadata);
}

std::string hash_of(const std::filesystem::path& file) {
  return hash128(MemoryMap(file).text()).hex();
}

/// The tensors of a file with the place that each has in its whole.
struct Slice {
  std::vector<std::int64_t> shape;
  std::int64_t first_row = 0;
  at::Tensor values;
};

std::map<std::string, Slice> read_slices(const std::filesystem::path& file) {
  const MemoryMap map(file);
  const SafetensorsHeader header = parse_safetensors_header(map.bytes(), file.string());
  const TensorSet set = open_safetensors(file);
  std::map<std::string, Slice> slices;
  for (const StoredTensor& stored : set.tensors()) {
    const auto note = header.metadata.find(stored.name);
    if (note == header.metadata.end()) {
      fail("{}: nothing says which part of the model tensor \"{}\" is", file.string(), stored.name);
    }
    const Json json = parse_json(note->second, file.string());
    JsonReader reader(json, file.string(), stored.name);
    Slice& slice = slices[stored.name];
    slice.shape = reader.get<std::vector<std::int64_t>>("shape");
    slice.first_row = reader.get<std::int64_t>("first_row");
    slice.values = stored.load(at::kFloat);
  }
  return slices;
}

/// The rows of a parameter that this run trains, out of the slices of a file.
at::Tensor take(const std::map<std::string, Slice>& slices, const TrainedParameter& parameter,
                const std::string& name, const std::filesystem::path& folder) {
  const auto found = slices.find(name);
  if (found == slices.end()) {
    fail(
        "{}: has no tensor \"{}\": it is a checkpoint of another model, or of a run that trained "
        "other parameters",
        folder.string(), name);
  }
  const Slice& slice = found->second;
  const std::int64_t skip = parameter.first_row - slice.first_row;
  if (slice.shape != parameter.shape || skip < 0 || skip + parameter.rows > slice.values.size(0)) {
    fail("{}: tensor \"{}\" is rows {} to {} of shape {}; this run needs rows {} to {} of {}",
         folder.string(), name, slice.first_row, slice.first_row + slice.values.size(0),
         shape_text(slice.shape), parameter.first_row, parameter.first_row + parameter.rows,
         shape_text(parameter.shape));
  }
  return slice.values.narrow(0, skip, parameter.rows);
}

}  // namespace

std::uint64_t CheckpointData::bytes() const {
  std::uint64_t sum = 0;
  for (const auto* list : {&parameters, &optimizer}) {
    for (const CheckpointTensor& tensor : *list) sum += tensor.values.nbytes();
  }
  return sum;
}

void collect_tensors(const Optimizer& optimizer, bool copy, CheckpointData& data) {
  const at::NoGradGuard no_grad;
  const auto held = [copy](const at::Tensor& tensor) {
    return copy && tensor.defined() ? tensor.detach().clone() : tensor.detach();
  };
  for (std::size_t i = 0; i < optimizer.parameters().size(); ++i) {
    const TrainedParameter& parameter = optimizer.parameters()[i];
    const Optimizer::State& state = optimizer.state(i);
    const auto add = [&](std::vector<CheckpointTensor>& list, const std::string& suffix,
                         const at::Tensor& values, const at::Tensor& low = {}) {
      list.push_back({parameter.name + suffix, parameter.shape, parameter.first_row, values, low});
    };
    const at::Tensor weight = held(parameter.part(*parameter.tensor));
    add(data.parameters, "", weight);
    if (state.low.defined()) add(data.optimizer, ".master", weight, held(state.low));
    add(data.optimizer, ".first_moment", held(state.first_moment));
    add(data.optimizer, ".second_moment", held(state.second_moment));
  }
}

void write_checkpoint(const std::filesystem::path& folder, const CheckpointData& data) {
  create_folders(folder.parent_path());
  AtomicFolder whole(folder);
  write_tensors(whole.path() / kParameters, data.parameters);
  write_tensors(whole.path() / kOptimizer, data.optimizer);
  Json state = data.state;
  state["format"] = "tigerbot training checkpoint";
  state["version"] = kVersion;
  Json& files = state["files"] = Json::object();
  for (const char* name : {kParameters, kOptimizer}) {
    const auto file = whole.path() / name;
    files[name] = {{"bytes", size_of_file(file)}, {"hash", hash_of(file)}};
  }
  if (!data.companions.empty()) {
    std::filesystem::copy(data.companions, whole.path() / "model",
                          std::filesystem::copy_options::recursive);
  }
  write_file(whole.path() / kState, state.dump(1) + "\n");
  whole.commit();
}

bool is_checkpoint(const std::filesystem::path& path) {
  return std::filesystem::exists(path / kState) && std::filesystem::exists(path / kParameters);
}

OpenCheckpoint open_checkpoint(const std::filesystem::path& folder) {
  const auto state_file = folder / kState;
  OpenCheckpoint checkpoint{folder, read_json_file(state_file)};
  JsonReader reader(checkpoint.state, state_file.string());
  if (const auto version = reader.get<int>("version"); version != kVersion) {
    fail("{}: a checkpoint of version {}; this program reads version {}", state_file.string(),
         version, kVersion);
  }
  JsonReader files = reader.object("files");
  for (const char* name : {kParameters, kOptimizer}) {
    JsonReader file = files.object(name);
    const auto bytes = file.get<std::uint64_t>("bytes");
    const auto path = folder / name;
    const std::uint64_t there = size_of_file(path);
    if (there != bytes) {
      fail("{}: {} bytes; {} were written: the file is truncated", path.string(), there, bytes);
    }
    if (hash_of(path) != file.get<std::string>("hash")) {
      fail("{}: the bytes are not those that were written", path.string());
    }
  }
  return checkpoint;
}

std::string checkpoint_name(std::int64_t step) { return fmt::format("step-{:08}", step); }

std::vector<std::filesystem::path> list_checkpoints(const std::filesystem::path& folder) {
  std::vector<std::filesystem::path> found;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(folder, error)) {
    const std::string name = entry.path().filename().string();
    if (entry.is_directory() && name.starts_with("step-") && name.size() >= 13 &&
        name.find_first_not_of("0123456789", 5) == std::string::npos) {
      found.push_back(entry.path());
    }
  }
  std::ranges::sort(found);
  return found;
}

std::optional<OpenCheckpoint> find_checkpoint(
    const std::filesystem::path& folder,
    const std::function<void(const std::string& message)>& damaged) {
  std::vector<std::filesystem::path> found = list_checkpoints(folder);
  for (auto at = found.rbegin(); at != found.rend(); ++at) {
    try {
      return open_checkpoint(*at);
    } catch (const Error& error) {
      damaged(error.what());
    }
  }
  return std::nullopt;
}

void load_tensors(const OpenCheckpoint& checkpoint, Optimizer& optimizer) {
  const std::map<std::string, Slice> weights = read_slices(checkpoint.folder / kParameters);
  const std::map<std::string, Slice> state = read_slices(checkpoint.folder / kOptimizer);
  for (std::size_t i = 0; i < optimizer.parameters().size(); ++i) {
    const TrainedParameter& parameter = optimizer.parameters()[i];
    const auto read = [&](const std::map<std::string, Slice>& from, const char* suffix) {
      return take(from, parameter, parameter.name + suffix, checkpoint.folder);
    };
    optimizer.set_master(
        i, optimizer.state(i).low.defined() ? read(state, ".master") : read(weights, ""));
    optimizer.set_moments(i, read(state, ".first_moment"), read(state, ".second_moment"));
  }
}

void prune_checkpoints(const std::filesystem::path& folder, std::int64_t keep_last) {
  const std::vector<std::filesystem::path> found = list_checkpoints(folder);
  std::filesystem::path best;
  double lowest = std::numeric_limits<double>::infinity();
  for (const auto& path : found) {
    if (!std::filesystem::exists(path / kState)) continue;
    const Json state = read_json_file(path / kState);
    const auto loss = state.find("validation_loss");
    if (loss == state.end() || !loss->is_number() || loss->get<double>() >= lowest) continue;
    lowest = loss->get<double>();
    best = path;
  }
  const auto count = static_cast<std::int64_t>(found.size());
  for (std::int64_t i = 0; i < count - keep_last; ++i) {
    const auto& path = found[static_cast<std::size_t>(i)];
    if (path != best) std::filesystem::remove_all(path);
  }
}

}  // namespace tigerbot::train
