#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "model/parameters.h"
#include "ops/quantized_linear.h"

namespace tigerbot {

/// A tensor as it lies in a file, under its Hugging Face name.
struct StoredTensor {
  std::string name;
  std::vector<std::int64_t> shape;
  std::string type;         ///< as the format spells it: "BF16", "Q4_1"
  std::uint64_t bytes = 0;  ///< in the file
  std::string file;         ///< for messages
  bool quantized = false;   ///< the type of what load() gives is its argument

  /// The values. Dense ones keep their type and alias the memory map where they can (never write
  /// into them); quantized ones are computed in the type asked for, on all threads.
  std::function<at::Tensor(at::ScalarType)> load;

  /// The weight as it is quantized, for those that run so; empty for the others.
  std::function<ops::QuantizedWeight()> load_quantized = {};
};

/// The tensors of a model, from one file or many.
class TensorSet {
 public:
  /// An Error if the name is there already.
  void add(StoredTensor tensor);

  const std::vector<StoredTensor>& tensors() const { return tensors_; }

  /// Finds a name also where the file leaves out, or adds, the prefix of the base model ("model.",
  /// "transformer.", "bert."), and BERT's older names (gamma, beta). Nullptr if it is not there.
  const StoredTensor* find(const std::string& name) const;

  /// The tensor of a name, quantized ones as `quantized_type`. An Error if it is missing or has
  /// another shape; `where` names the model in it.
  at::Tensor get(const std::string& name, const std::vector<std::int64_t>& shape,
                 at::ScalarType quantized_type, const std::string& where) const;

  std::uint64_t total_bytes() const;
  std::int64_t total_elements() const;

 private:
  const StoredTensor* look_up(const std::string& name) const;

  std::vector<StoredTensor> tensors_;
  std::unordered_map<std::string, std::size_t> index_;
};

/// "[49152, 576]"
std::string shape_text(const std::vector<std::int64_t>& shape);

/// Elements of a shape that has been checked against overflow.
std::int64_t element_count(const std::vector<std::int64_t>& shape);

}  // namespace tigerbot
