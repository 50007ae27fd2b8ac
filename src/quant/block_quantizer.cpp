#include "quant/block_quantizer.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/isfinite.h>

#include <algorithm>
#include <utility>

#include "base/error.h"

namespace tigerbot::quant {
namespace {

constexpr std::int64_t kBatchTokens = 2048;

bool belongs_to(const std::string& name, const std::string& block) {
  return name.starts_with(block + ".");
}

double weight_error(const at::Tensor& weight, const at::Tensor& quantized) {
  const at::Tensor wide = weight.to(at::kDouble);
  const double total = wide.square().sum().item<double>();
  const double lost = (wide - quantized.to(at::kDouble)).square().sum().item<double>();
  return total > 0 ? lost / total : 0.0;
}

}  // namespace

std::uint64_t QuantizedLayer::bytes() const {
  return tensors.qweight.nbytes() + tensors.qzeros.nbytes() + tensors.scales.nbytes() +
         tensors.g_idx.nbytes();
}

BlockQuantizer::BlockQuantizer(LayeredModel& model, TensorSource source, at::ScalarType dtype,
                               const QuantizeOptions& options, const CalibrationSet& calibration)
    : model_(model), source_(std::move(source)), dtype_(dtype), options_(options) {
  if (calibration.sequences.empty()) return;
  // What every block needs: vectors (norms, biases) and, for the first one, the embedding.
  std::vector<Parameter> everywhere;
  for (Parameter& parameter : model.parameters()) {
    const auto in_block = [&](std::int64_t block) {
      return belongs_to(parameter.name, model.block_name(block));
    };
    bool inside = false;
    for (std::int64_t i = 0; i < model.config().num_hidden_layers && !inside; ++i) {
      inside = in_block(i);
    }
    const bool output = parameter.name.starts_with("lm_head.");
    if (parameter.shape.size() == 1 || (!inside && !output)) everywhere.push_back(parameter);
  }
  load_parameters(everywhere, source_, dtype_, at::kCPU);
  const auto length = static_cast<std::int64_t>(calibration.sequences.front().size());
  const auto together = static_cast<std::size_t>(std::max<std::int64_t>(1, kBatchTokens / length));
  const at::NoGradGuard no_grad;
  for (std::size_t first = 0; first < calibration.sequences.size(); first += together) {
    const std::size_t last = std::min(first + together, calibration.sequences.size());
    const at::Tensor ids = at::empty({static_cast<std::int64_t>(last - first) * length}, at::kInt);
    auto* id = ids.mutable_data_ptr<std::int32_t>();
    for (std::size_t i = first; i < last; ++i) {
      id = std::copy(calibration.sequences[i].begin(), calibration.sequences[i].end(), id);
    }
    const std::vector<std::int64_t> lengths(last - first, length);
    const Sequences sequences = make_sequences(lengths, at::kCPU);
    batches_.push_back({sequences, model.embed(ids, sequences)});
  }
}

std::map<const Linear*, std::shared_ptr<Hessian>> BlockQuantizer::observe(
    const std::vector<Linear*>& linears) {
  std::map<const Linear*, std::shared_ptr<Hessian>> hessians;
  at::Tensor last;  // kept, so that no other tensor takes its place in memory
  std::shared_ptr<Hessian> of_last;
  bool counted = false;
  for (Linear* linear : linears) {
    linear->set_observer([&, linear](const at::Tensor& x) {
      if (!last.defined() || !x.is_same(last)) {
        last = x;
        of_last = hessians.contains(linear) ? hessians[linear] : nullptr;
        counted = false;
      }
      if (!of_last) of_last = std::make_shared<Hessian>(linear->in_features());
      hessians.emplace(linear, of_last);
      if (!std::exchange(counted, true)) of_last->add(x);
    });
  }
  for (const Batch& batch : batches_) {
    model_.run_block(block_, batch.x, batch.sequences);
    last = at::Tensor();
  }
  for (Linear* linear : linears) linear->set_observer(nullptr);
  return hessians;
}

QuantizedLayer BlockQuantizer::quantize(Linear& linear, const Hessian* hessian) {
  const GridOptions& grid = options_.gptq.grid;
  const at::Tensor& weight = linear.weight();
  QuantizedLayer layer;
  layer.name = linear.name();
  layer.in_features = linear.in_features();
  layer.out_features = linear.out_features();
  ops::QuantizedParts parts = round_to_nearest(weight, grid, linear.name());
  ops::QuantizedWeight packed(parts);
  if (hessian) {
    const at::Tensor matrix = hessian->matrix();
    layer.round_to_nearest_error = relative_error(weight, packed.dequantize(at::kFloat), matrix);
    parts = solve_gptq(weight, matrix, options_.gptq, linear.name());
    packed = ops::QuantizedWeight(parts);
    layer.error = relative_error(weight, packed.dequantize(at::kFloat), matrix);
  } else {
    layer.error = weight_error(weight, packed.dequantize(at::kFloat));
  }
  layer.tensors = pack_gptq(parts, options_.zeros_less_one);
  linear.set_quantized(std::move(packed));
  return layer;
}

void BlockQuantizer::next(const std::function<void(QuantizedLayer)>& take) {
  const at::NoGradGuard no_grad;
  const std::string block = model_.block_name(block_);
  std::vector<Linear*> linears = model_.linears();
  std::erase_if(linears, [&](Linear* linear) { return !belongs_to(linear->name(), block); });
  std::vector<Parameter> parameters = model_.parameters();
  std::erase_if(parameters, [&](const Parameter& parameter) {
    return !belongs_to(parameter.name, block) || parameter.shape.size() == 1;
  });
  load_parameters(parameters, source_, dtype_, at::kCPU);
  std::map<const Linear*, std::shared_ptr<Hessian>> hessians;
  if (!batches_.empty()) hessians = observe(linears);
  for (Linear* linear : linears) {
    const auto found = hessians.find(linear);
    take(quantize(*linear, found == hessians.end() ? nullptr : found->second.get()));
  }
  for (Batch& batch : batches_) {
    batch.x = model_.run_block(block_, batch.x, batch.sequences);
  }
  for (Linear* linear : linears) linear->release_weight();
  ++block_;
}

}  // namespace tigerbot::quant
