#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "model/parameters.h"
#include "ops/ops.h"

namespace tigerbot {

/// A row of `name`.weight [rows, features] for each id.
class Embedding {
 public:
  Embedding(std::string name, std::int64_t rows, std::int64_t features)
      : name_(std::move(name)), rows_(rows), features_(features) {}

  /// ids [tokens] -> [tokens, features].
  at::Tensor operator()(const at::Tensor& ids) const { return ops::embedding(ids, weight_); }

  void append_parameters(std::vector<Parameter>& list) {
    list.push_back({name_ + ".weight", {rows_, features_}, &weight_});
  }

  const at::Tensor& weight() const { return weight_; }

 private:
  std::string name_;
  std::int64_t rows_;
  std::int64_t features_;
  at::Tensor weight_;
};

}  // namespace tigerbot
