#include "ops/dropout.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>
#include <torch/csrc/autograd/custom_function.h>

#include "base/error.h"
#include "ops/elementwise.h"

namespace tigerbot::ops {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

/// 0 or 1 / (1 - p) for each element of x.
at::Tensor kept(const at::Tensor& x, double p, RandomKey key) {
  const at::Tensor mask = at::empty(x.sizes(), at::TensorOptions(at::kFloat));
  auto* out = mask.mutable_data_ptr<float>();
  const auto keep = static_cast<float>(1 / (1 - p));
  const auto threshold = static_cast<std::uint32_t>(p * 0x1p32);
  parallel_elements(x.numel(), [&](std::int64_t begin, std::int64_t end) {
    // Blocks begin at multiples of four: each gives four elements their bits.
    for (std::int64_t i = begin; i < end; i += 4) {
      const auto bits =
          random_bits({key.seed, key.stream, key.index + static_cast<std::uint64_t>(i / 4)});
      for (std::int64_t k = i; k < end && k < i + 4; ++k) {
        out[k] = bits[static_cast<std::size_t>(k - i)] < threshold ? 0.0F : keep;
      }
    }
  });
  return mask.to(x.device(), x.scalar_type());
}

struct Dropout : torch::autograd::Function<Dropout> {
  static at::Tensor forward(AutogradContext* ctx, const at::Tensor& x, double p, RandomKey key) {
    ctx->saved_data["p"] = p;
    ctx->saved_data["seed"] = static_cast<std::int64_t>(key.seed);
    ctx->saved_data["stream"] = static_cast<std::int64_t>(key.stream);
    ctx->saved_data["index"] = static_cast<std::int64_t>(key.index);
    return x * kept(x, p, key);
  }

  static variable_list backward(AutogradContext* ctx, variable_list gradients) {
    const auto word = [&](const char* name) {
      return static_cast<std::uint64_t>(ctx->saved_data[name].toInt());
    };
    const RandomKey key{word("seed"), word("stream"), word("index")};
    const at::Tensor& dy = gradients[0];
    return {dy * kept(dy, ctx->saved_data["p"].toDouble(), key), at::Tensor(), at::Tensor()};
  }
};

}  // namespace

at::Tensor dropout(const at::Tensor& x, double p, RandomKey key) {
  if (!(p >= 0 && p < 1)) fail("dropout: p is {}; it must be in [0, 1)", p);
  if (p == 0) return x;
  return Dropout::apply(x, p, key);
}

}  // namespace tigerbot::ops
