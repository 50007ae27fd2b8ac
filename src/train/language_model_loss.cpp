#include <ATen/ops/from_blob.h>

#include "ops/ops.h"
#include "train/objective.h"

namespace tigerbot::train {
namespace {

/// A tensor on `device` with a copy of the values.
template <typename T>
at::Tensor tensor_of(const std::vector<T>& values, at::ScalarType type, at::Device device) {
  return at::from_blob(const_cast<T*>(values.data()), {static_cast<std::int64_t>(values.size())},
                       at::TensorOptions(type))
      .to(at::TensorOptions(type).device(device), /*non_blocking=*/false, /*copy=*/true);
}

}  // namespace

BatchLoss language_model_loss(Decoder& model, const MicroBatch& batch) {
  const at::Device device = model.output_weight().device();
  const at::Tensor ids = tensor_of(batch.ids, at::kInt, device);
  const at::Tensor labels = tensor_of(batch.labels, at::kLong, device);
  const at::Tensor weights = tensor_of(batch.weights, at::kFloat, device);
  const at::Tensor hidden = model.forward(ids, make_sequences(batch.lengths, device));
  const ops::CrossEntropy result =
      ops::cross_entropy(hidden, model.output_weight(), labels, weights);
  return {result.loss, result.token_losses, result.correct};
}

}  // namespace tigerbot::train
