#pragma once

#include <ATen/core/Tensor.h>
#include <ATen/ops/empty.h>

#include <cstdint>
#include <string>
#include <vector>

#include "base/json.h"
#include "model/config.h"
#include "ops/sequences.h"

namespace tigerbot {

/// The rows of tests/golden/models/NAME.json.
inline Json read_golden(const std::string& name) {
  return read_json_file(std::string(TIGERBOT_SOURCE_DIR) + "/tests/golden/models/" + name +
                        ".json");
}

inline ModelConfig golden_config(const Json& row) {
  return parse_model_config(row.at("config").dump(), row.at("name").get<std::string>());
}

inline at::Tensor tensor_of(const std::vector<std::int64_t>& ids) {
  at::Tensor out = at::empty({static_cast<std::int64_t>(ids.size())}, at::kLong);
  std::copy(ids.begin(), ids.end(), out.data_ptr<std::int64_t>());
  return out;
}

inline at::Tensor tensor_of(const std::vector<float>& values) {
  at::Tensor out = at::empty({static_cast<std::int64_t>(values.size())}, at::kFloat);
  std::copy(values.begin(), values.end(), out.data_ptr<float>());
  return out;
}

/// All sequences of a golden row, one after another.
struct GoldenBatch {
  at::Tensor ids;
  Sequences sequences;
  std::vector<std::int64_t> lengths;
};

inline GoldenBatch golden_batch(const Json& row) {
  GoldenBatch batch;
  std::vector<std::int64_t> ids;
  for (const Json& sequence : row.at("sequences")) {
    const auto part = sequence.at("ids").get<std::vector<std::int64_t>>();
    ids.insert(ids.end(), part.begin(), part.end());
    batch.lengths.push_back(static_cast<std::int64_t>(part.size()));
  }
  batch.ids = tensor_of(ids);
  batch.sequences = make_sequences(batch.lengths);
  return batch;
}

/// The largest |a - b| as a share of the largest |b|.
inline double relative_error(const at::Tensor& a, const at::Tensor& b) {
  const at::Tensor wide = b.to(at::kDouble);
  return (a.to(at::kDouble).sub(wide)).abs().max().item<double>() / wide.abs().max().item<double>();
}

}  // namespace tigerbot
