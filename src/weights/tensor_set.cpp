#include "weights/tensor_set.h"

#include <array>

#include "base/error.h"
#include "base/text.h"

namespace tigerbot {

std::string shape_text(const std::vector<std::int64_t>& shape) {
  return fmt::format("[{}]", fmt::join(shape, ", "));
}

std::int64_t element_count(const std::vector<std::int64_t>& shape) {
  std::int64_t count = 1;
  for (const std::int64_t size : shape) count *= size;
  return count;
}

void TensorSet::add(StoredTensor tensor) {
  const auto [position, fresh] = index_.emplace(tensor.name, tensors_.size());
  if (!fresh) {
    fail("{}: tensor {} is also in {}; keep one of them", tensor.file, quote(tensor.name),
         tensors_[position->second].file);
  }
  tensors_.push_back(std::move(tensor));
}

const StoredTensor* TensorSet::look_up(const std::string& name) const {
  const auto found = index_.find(name);
  return found == index_.end() ? nullptr : &tensors_[found->second];
}

const StoredTensor* TensorSet::find(const std::string& name) const {
  if (const auto* tensor = look_up(name)) return tensor;
  for (const std::string prefix : {"model.", "transformer.", "bert."}) {
    if (name.starts_with(prefix)) {
      if (const auto* tensor = look_up(name.substr(prefix.size()))) return tensor;
    } else if (const auto* tensor = look_up(prefix + name)) {
      return tensor;
    }
  }
  // TensorFlow's names of a LayerNorm, which early BERT checkpoints kept.
  using Names = std::pair<std::string_view, std::string_view>;
  for (const auto& [now, early] :
       {Names{"LayerNorm.weight", "LayerNorm.gamma"}, Names{"LayerNorm.bias", "LayerNorm.beta"}}) {
    if (name.ends_with(now)) {
      return find(name.substr(0, name.size() - now.size()) + std::string(early));
    }
  }
  return nullptr;
}

at::Tensor TensorSet::get(const std::string& name, const std::vector<std::int64_t>& shape,
                          at::ScalarType quantized_type, const std::string& where) const {
  const StoredTensor* tensor = find(name);
  if (!tensor) {
    fail("{}: tensor \"{}\" is missing; the model is incomplete or of another kind", where, name);
  }
  if (tensor->shape != shape) {
    fail("{}: tensor \"{}\" has shape {}; its configuration asks for {}", tensor->file, name,
         shape_text(tensor->shape), shape_text(shape));
  }
  at::Tensor values = tensor->load(quantized_type);
  if (!values.is_floating_point()) {
    fail("{}: tensor \"{}\" has type {}; a weight needs a floating-point type", tensor->file, name,
         tensor->type);
  }
  return values;
}

std::uint64_t TensorSet::total_bytes() const {
  std::uint64_t bytes = 0;
  for (const auto& tensor : tensors_) bytes += tensor.bytes;
  return bytes;
}

std::int64_t TensorSet::total_elements() const {
  std::int64_t count = 0;
  for (const auto& tensor : tensors_) count += element_count(tensor.shape);
  return count;
}

}  // namespace tigerbot
