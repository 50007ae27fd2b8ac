// The normalizations' autograd function around the kernels of cpu/norm-inl.h.
//
// The forward pass keeps x (or the sum) and one or two numbers a row; the backward pass makes the
// rest again from them. Gradients of weight and bias are summed over chunks of a fixed number of
// rows, and the chunks in order, so that their bits do not depend on the number of threads.

#include "ops/norm.h"

#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/zeros.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>
#include <optional>

#include "ops/cpu/fused_kernels.h"
#include "ops/recorded.h"

namespace tigerbot::ops {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

constexpr std::int64_t kRowsPerChunk = 128;
constexpr std::int64_t kElementsPerTask = 16384;

std::int64_t row_grain(std::int64_t features) {
  return std::max<std::int64_t>(1, kElementsPerTask / std::max<std::int64_t>(1, features));
}

const void* row_of(const at::Tensor& x, std::int64_t row) {
  return static_cast<const char*>(x.const_data_ptr()) +
         row * x.size(-1) * static_cast<std::int64_t>(x.element_size());
}

void* mutable_row_of(const at::Tensor& x, std::int64_t row) {
  return const_cast<void*>(row_of(x, row));
}

struct Forward {
  at::Tensor y;
  at::Tensor sum;    // undefined without a residual
  at::Tensor mean;   // undefined for RMSNorm
  at::Tensor scale;  // float32 [rows]
};

// All inputs contiguous; weight and bias float32.
Forward run_forward(const at::Tensor& x, const at::Tensor& residual, const at::Tensor& weight,
                    const at::Tensor& bias, double eps) {
  const Recorded recorded("tigerbot::norm",
                          static_cast<std::int64_t>(x.nbytes()) * (residual.defined() ? 4 : 2));
  const std::int64_t features = x.size(-1);
  const std::int64_t rows = features == 0 ? 0 : x.numel() / features;
  Forward result;
  result.y = at::empty_like(x);
  if (residual.defined()) result.sum = at::empty_like(x);
  const at::Tensor statistics =
      at::empty({bias.defined() ? 2 : 1, rows}, x.options().dtype(at::kFloat));
  result.scale = statistics.select(0, 0);
  if (bias.defined()) result.mean = statistics.select(0, 1);
  const cpu::FusedKernels& kernels = cpu::fused_kernels(x.scalar_type() == at::kBFloat16);
  at::parallel_for(0, rows, row_grain(features), [&](std::int64_t begin, std::int64_t end) {
    cpu::NormForward task;
    task.rows = end - begin;
    task.features = features;
    task.x = row_of(x, begin);
    task.weight = weight.const_data_ptr<float>();
    task.eps = static_cast<float>(eps);
    task.y = mutable_row_of(result.y, begin);
    task.scale = result.scale.mutable_data_ptr<float>() + begin;
    if (residual.defined()) {
      task.residual = row_of(residual, begin);
      task.sum = mutable_row_of(result.sum, begin);
    }
    if (bias.defined()) {
      task.bias = bias.const_data_ptr<float>();
      task.mean = result.mean.mutable_data_ptr<float>() + begin;
    }
    kernels.norm_forward(task);
  });
  return result;
}

// parts [chunks, n] added up chunk after chunk -> [n].
at::Tensor sum_in_order(const at::Tensor& parts) {
  const std::int64_t chunks = parts.size(0);
  const std::int64_t n = parts.size(1);
  at::Tensor total = at::zeros({n}, parts.options());
  const float* in = parts.const_data_ptr<float>();
  auto* out = total.mutable_data_ptr<float>();
  at::parallel_for(0, n,
                   std::max<std::int64_t>(1, kElementsPerTask / std::max<std::int64_t>(1, chunks)),
                   [&](std::int64_t begin, std::int64_t end) {
                     for (std::int64_t chunk = 0; chunk < chunks; ++chunk) {
                       const float* row = in + chunk * n;
                       for (std::int64_t i = begin; i < end; ++i) out[i] += row[i];
                     }
                   });
  return total;
}

struct Gradients {
  at::Tensor x;
  at::Tensor weight;  // float32
  at::Tensor bias;    // float32, or undefined
};

// dy and dsum contiguous and of x's type; mean undefined for RMSNorm, dsum where nothing reaches.
Gradients run_backward(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& mean,
                       const at::Tensor& scale, const at::Tensor& dy, const at::Tensor& dsum) {
  const Recorded recorded("tigerbot::norm_backward",
                          static_cast<std::int64_t>(x.nbytes()) * (dsum.defined() ? 4 : 3));
  const std::int64_t features = x.size(-1);
  const std::int64_t rows = features == 0 ? 0 : x.numel() / features;
  const std::int64_t chunks = (rows + kRowsPerChunk - 1) / kRowsPerChunk;
  const std::int64_t parameters = mean.defined() ? 2 : 1;
  Gradients result;
  result.x = at::empty_like(x);
  const at::Tensor parts =
      at::zeros({chunks, parameters * features}, x.options().dtype(at::kFloat));
  const cpu::FusedKernels& kernels = cpu::fused_kernels(x.scalar_type() == at::kBFloat16);
  at::parallel_for(0, chunks, 1, [&](std::int64_t first, std::int64_t last) {
    for (std::int64_t chunk = first; chunk < last; ++chunk) {
      const std::int64_t begin = chunk * kRowsPerChunk;
      cpu::NormBackward task;
      task.rows = std::min(kRowsPerChunk, rows - begin);
      task.features = features;
      task.x = row_of(x, begin);
      task.weight = weight.const_data_ptr<float>();
      task.scale = scale.const_data_ptr<float>() + begin;
      task.dy = row_of(dy, begin);
      if (dsum.defined()) task.dsum = row_of(dsum, begin);
      task.dx = mutable_row_of(result.x, begin);
      task.dweight = parts.mutable_data_ptr<float>() + chunk * parameters * features;
      if (mean.defined()) {
        task.mean = mean.const_data_ptr<float>() + begin;
        task.dbias = task.dweight + features;
      }
      kernels.norm_backward(task);
    }
  });
  const at::Tensor sums = sum_in_order(parts);
  result.weight = sums.narrow(0, 0, features);
  if (mean.defined()) result.bias = sums.narrow(0, features, features);
  return result;
}

at::Tensor contiguous_like(const at::Tensor& gradient, const at::Tensor& x) {
  return gradient.defined() ? gradient.to(x.scalar_type()).contiguous() : gradient;
}

struct Norm : torch::autograd::Function<Norm> {
  static variable_list forward(AutogradContext* ctx, const at::Tensor& x,
                               const std::optional<at::Tensor>& given_residual,
                               const at::Tensor& weight,
                               const std::optional<at::Tensor>& given_bias, double eps) {
    const at::Tensor residual = given_residual.value_or(at::Tensor());
    const at::Tensor bias = given_bias.value_or(at::Tensor());
    const at::Tensor rows = x.contiguous();
    const Forward result =
        run_forward(rows, residual.defined() ? residual.contiguous() : residual,
                    weight.to(at::kFloat).contiguous(),
                    bias.defined() ? bias.to(at::kFloat).contiguous() : bias, eps);
    ctx->set_materialize_grads(false);
    ctx->save_for_backward(
        {result.sum.defined() ? result.sum : rows, weight, result.mean, result.scale});
    ctx->saved_data["residual"] = residual.defined();
    if (residual.defined()) return {result.y, result.sum};
    return {result.y};
  }

  static variable_list backward(AutogradContext* ctx, variable_list gradients) {
    const variable_list saved = ctx->get_saved_variables();
    const at::Tensor& x = saved[0];
    const at::Tensor& weight = saved[1];
    const at::Tensor& mean = saved[2];
    const bool has_residual = ctx->saved_data["residual"].toBool();
    const at::Tensor dy = contiguous_like(gradients[0], x);
    const at::Tensor dsum = has_residual ? contiguous_like(gradients[1], x) : at::Tensor();
    if (!dy.defined()) return {dsum, dsum, at::Tensor(), at::Tensor(), at::Tensor()};
    const Gradients result =
        run_backward(x, weight.to(at::kFloat).contiguous(), mean, saved[3], dy, dsum);
    return {result.x, has_residual ? result.x : at::Tensor(),
            result.weight.to(weight.scalar_type()),
            mean.defined() ? result.bias.to(weight.scalar_type()) : at::Tensor(), at::Tensor()};
  }
};

// Autograd takes no undefined tensors.
std::optional<at::Tensor> optional(const at::Tensor& tensor) {
  return tensor.defined() ? std::optional(tensor) : std::nullopt;
}

}  // namespace

std::pair<at::Tensor, at::Tensor> fused_norm(const at::Tensor& x, const at::Tensor& residual,
                                             const at::Tensor& weight, const at::Tensor& bias,
                                             double eps) {
  const variable_list results = Norm::apply(x, optional(residual), weight, optional(bias), eps);
  return {results[0], residual.defined() ? results[1] : at::Tensor()};
}

}  // namespace tigerbot::ops
