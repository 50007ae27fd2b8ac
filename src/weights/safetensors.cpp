#include "weights/safetensors.h"

#include <ATen/ops/from_blob.h>

#include <array>
#include <memory>
#include <set>

#include "base/error.h"
#include "base/files.h"
#include "base/json.h"
#include "base/memory_map.h"
#include "base/text.h"
#include "weights/safetensors_header.h"

namespace tigerbot {
namespace {

struct TypePair {
  SafetensorsType stored;
  at::ScalarType scalar;
};

constexpr std::array<TypePair, 10> kTypes = {{{SafetensorsType::kF64, at::kDouble},
                                              {SafetensorsType::kF32, at::kFloat},
                                              {SafetensorsType::kF16, at::kHalf},
                                              {SafetensorsType::kBF16, at::kBFloat16},
                                              {SafetensorsType::kI64, at::kLong},
                                              {SafetensorsType::kI32, at::kInt},
                                              {SafetensorsType::kI16, at::kShort},
                                              {SafetensorsType::kI8, at::kChar},
                                              {SafetensorsType::kU8, at::kByte},
                                              {SafetensorsType::kBool, at::kBool}}};

at::Tensor map_tensor(const std::shared_ptr<const MemoryMap>& map, const SafetensorsEntry& entry) {
  const auto* pair = std::ranges::find(kTypes, entry.type, &TypePair::stored);
  const std::string path = map->path().string();
  if (pair == kTypes.end()) {
    fail(
        "{}: tensor {} has type {}, which can be inspected but not computed with; convert it to "
        "BF16",
        path, quote(entry.name), safetensors_type_name(entry.type));
  }
  // The map is read-only and from_blob wants void*; the contract of load() forbids writing.
  auto* data = const_cast<std::byte*>(map->data() + entry.begin);
  // The first writers of the format did not pad the header, so its length alone decides whether the
  // data are aligned in memory. Those that are not are copied.
  const auto size = static_cast<std::uintptr_t>(safetensors_type_size(entry.type));
  const bool aligned = reinterpret_cast<std::uintptr_t>(data) % size == 0;
  if (!aligned) {
    auto copy = std::shared_ptr<std::byte[]>(new std::byte[entry.bytes]);
    std::memcpy(copy.get(), data, entry.bytes);
    return at::from_blob(
        copy.get(), entry.shape, [copy](void*) {}, at::TensorOptions(pair->scalar));
  }
  return at::from_blob(
      data, entry.shape, [map](void*) {}, at::TensorOptions(pair->scalar));
}

std::vector<StoredTensor> read_file_tensors(const std::filesystem::path& file) {
  auto map = std::make_shared<const MemoryMap>(file);
  const std::string path = file.string();
  std::vector<StoredTensor> tensors;
  for (const SafetensorsEntry& entry : parse_safetensors_header(map->bytes(), path).entries) {
    StoredTensor tensor;
    tensor.name = entry.name;
    tensor.shape = entry.shape;
    tensor.type = safetensors_type_name(entry.type);
    tensor.bytes = entry.bytes;
    tensor.file = path;
    tensor.load = [map, entry](at::ScalarType) { return map_tensor(map, entry); };
    tensors.push_back(std::move(tensor));
  }
  return tensors;
}

TensorSet open_shards(const std::filesystem::path& folder, const std::filesystem::path& index) {
  const Json document = read_json_file(index);
  JsonReader reader(document, index.string());
  const Json weight_map = reader.get<Json>("weight_map");
  if (!weight_map.is_object()) fail("{}: weight_map must be an object", index.string());
  std::map<std::string, std::set<std::string>> shards;
  for (const auto& [name, shard] : weight_map.items()) {
    if (!shard.is_string()) {
      fail("{}: weight_map: the file of tensor {} must be a string", index.string(), quote(name));
    }
    const auto file = shard.get<std::string>();
    if (file.empty() || file.find('/') != std::string::npos || file == "..") {
      fail("{}: weight_map: {} is no plain file name", index.string(), quote(file));
    }
    shards[file].insert(name);
  }
  std::vector<std::string> missing;
  for (const auto& [file, names] : shards) {
    if (!std::filesystem::exists(folder / file)) missing.push_back(file);
  }
  if (!missing.empty()) {
    fail("{}: {} of {} shards are missing: {}; fetch them again", folder.string(), missing.size(),
         shards.size(), fmt::join(missing, ", "));
  }
  TensorSet set;
  for (const auto& [file, names] : shards) {
    std::size_t found = 0;
    for (StoredTensor& tensor : read_file_tensors(folder / file)) {
      // What the index does not place here belongs elsewhere, or to nobody.
      if (!names.contains(tensor.name)) continue;
      ++found;
      set.add(std::move(tensor));
    }
    if (found == names.size()) continue;
    for (const std::string& name : names) {
      if (set.find(name)) continue;
      fail("{}: tensor {} is missing, which {} places here", (folder / file).string(), quote(name),
           index.filename().string());
    }
  }
  return set;
}

SafetensorsType stored_type(at::ScalarType type, const std::string& name) {
  const auto* pair = std::ranges::find(kTypes, type, &TypePair::scalar);
  if (pair == kTypes.end()) {
    fail("tensor \"{}\" has type {}, which safetensors does not store", name, toString(type));
  }
  return pair->stored;
}

std::uint64_t bytes_of(const TensorToWrite& tensor) {
  return static_cast<std::uint64_t>(element_count(tensor.shape)) * c10::elementSize(tensor.type);
}

}  // namespace

std::optional<at::ScalarType> scalar_type_named(std::string_view name) {
  for (const TypePair& pair : kTypes) {
    if (safetensors_type_name(pair.stored) == name) return pair.scalar;
  }
  return std::nullopt;
}

TensorSet open_safetensors(const std::filesystem::path& file) {
  TensorSet set;
  for (StoredTensor& tensor : read_file_tensors(file)) set.add(std::move(tensor));
  return set;
}

TensorSet open_safetensors_folder(const std::filesystem::path& folder) {
  const auto index = folder / "model.safetensors.index.json";
  if (std::filesystem::exists(index)) return open_shards(folder, index);
  const auto single = folder / "model.safetensors";
  if (std::filesystem::exists(single)) return open_safetensors(single);
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    const std::string name = entry.path().filename().string();
    if ((name.starts_with("pytorch_model") && name.ends_with(".bin")) || name.ends_with(".pth") ||
        name.ends_with(".pt")) {
      fail(
          "{}: {} is a Python pickle, which can run code; convert it to safetensors first "
          "(transformers: model.save_pretrained(..., safe_serialization=True))",
          folder.string(), name);
    }
  }
  fail("{}: neither model.safetensors nor model.safetensors.index.json is here; fetch the weights",
       folder.string());
}

void write_safetensors(const std::filesystem::path& file, const std::vector<TensorToWrite>& tensors,
                       const std::map<std::string, std::string>& metadata) {
  // Wider types first, as the reference writer does, so that every tensor is aligned to its type.
  std::vector<const TensorToWrite*> order;
  for (const auto& tensor : tensors) order.push_back(&tensor);
  std::ranges::stable_sort(order, std::greater<>{}, [](const TensorToWrite* tensor) {
    return c10::elementSize(tensor->type);
  });
  std::vector<SafetensorsEntry> entries;
  for (const auto* tensor : order) {
    entries.push_back({tensor->name, stored_type(tensor->type, tensor->name), tensor->shape, 0,
                       bytes_of(*tensor)});
  }
  AtomicFile out(file);
  out.write(format_safetensors_header(entries, metadata));
  for (const auto* tensor : order) {
    const at::Tensor values = tensor->load().contiguous();
    if (values.scalar_type() != tensor->type || values.sizes() != at::IntArrayRef(tensor->shape)) {
      fail_internal("tensor \"{}\" changed its shape or type while it was written", tensor->name);
    }
    out.write({static_cast<const char*>(values.const_data_ptr()), values.nbytes()});
  }
  out.commit();
}

void write_safetensors_folder(const std::filesystem::path& folder,
                              const std::vector<TensorToWrite>& tensors,
                              std::uint64_t max_shard_bytes) {
  std::vector<std::vector<TensorToWrite>> shards(1);
  std::uint64_t filled = 0;
  std::uint64_t total = 0;
  for (const auto& tensor : tensors) {
    const std::uint64_t bytes = bytes_of(tensor);
    if (filled + bytes > max_shard_bytes && !shards.back().empty()) {
      shards.emplace_back();
      filled = 0;
    }
    shards.back().push_back(tensor);
    filled += bytes;
    total += bytes;
  }
  if (shards.size() == 1) return write_safetensors(folder / "model.safetensors", shards[0]);
  Json weight_map = Json::object();
  for (std::size_t i = 0; i < shards.size(); ++i) {
    const auto name = fmt::format("model-{:05}-of-{:05}.safetensors", i + 1, shards.size());
    write_safetensors(folder / name, shards[i]);
    for (const auto& tensor : shards[i]) weight_map[tensor.name] = name;
  }
  // The index comes last: without it the shards are no model yet.
  const Json index = {{"metadata", {{"total_size", total}}}, {"weight_map", weight_map}};
  write_file(folder / "model.safetensors.index.json", index.dump(2) + "\n");
}

}  // namespace tigerbot
