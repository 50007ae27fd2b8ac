#include <ATen/Parallel.h>
#include <ATen/ops/embedding.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>
#include <cstring>
#include <numeric>
#include <vector>

#include "base/error.h"
#include "ops/checks.h"
#include "ops/composed.h"
#include "ops/elementwise.h"
#include "ops/ops.h"
#include "ops/recorded.h"

namespace tigerbot::ops {
namespace {

template <typename Id>
void check_ids(const at::Tensor& ids, std::int64_t pieces) {
  const at::Tensor contiguous = ids.contiguous();
  const Id* p = contiguous.const_data_ptr<Id>();
  for (std::int64_t i = 0; i < contiguous.numel(); ++i) {
    if (p[i] < 0 || p[i] >= pieces) {
      fail("embedding: token {} has id {}, but there are {} pieces; ids run from 0 to {}", i, p[i],
           pieces, pieces - 1);
    }
  }
}

void check_embedding(const at::Tensor& ids, const at::Tensor& weight) {
  check_floating("embedding", "weight", weight);
  check_shape("embedding", "weight", weight, {-1, -1});
  check_shape("embedding", "ids", ids, {-1});
  if (ids.scalar_type() != at::kLong && ids.scalar_type() != at::kInt) {
    fail("embedding: ids is {}; convert it to int64 or int32", describe(ids));
  }
  if (!ids.is_cpu()) return;  // reading a device's ids would wait for it; ATen asserts there
  if (ids.scalar_type() == at::kLong) {
    check_ids<std::int64_t>(ids, weight.size(0));
  } else {
    check_ids<std::int32_t>(ids, weight.size(0));
  }
}

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

at::Tensor gather_rows(const at::Tensor& ids, const at::Tensor& weight) {
  const std::int64_t tokens = ids.size(0);
  const std::int64_t width = weight.size(1);
  const Recorded recorded("tigerbot::embedding",
                          2 * tokens * width * static_cast<std::int64_t>(weight.element_size()));
  const auto* id = ids.const_data_ptr<std::int64_t>();
  const auto bytes = static_cast<std::size_t>(width) * weight.element_size();
  at::Tensor rows = at::empty({tokens, width}, weight.options());
  const std::int64_t grain = std::max<std::int64_t>(1, 16384 / std::max<std::int64_t>(1, width));
  at::parallel_for(0, tokens, grain, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t t = begin; t < end; ++t) {
      std::memcpy(mutable_element(rows, t * width), element(weight, id[t] * width), bytes);
    }
  });
  return rows;
}

// Each piece's gradient is summed by one thread in float32, its tokens in their order: the bits
// depend on the ids alone. ids int64 and dy [tokens, width] contiguous.
template <typename T>
at::Tensor scatter_rows(const at::Tensor& ids, const at::Tensor& dy, std::int64_t pieces) {
  const std::int64_t tokens = ids.size(0);
  const std::int64_t width = dy.size(1);
  const Recorded recorded("tigerbot::embedding_backward",
                          (pieces + tokens) * width * static_cast<std::int64_t>(sizeof(T)));
  const auto* id = ids.const_data_ptr<std::int64_t>();
  std::vector<std::int64_t> order(static_cast<std::size_t>(tokens));
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(),
                   [&](std::int64_t a, std::int64_t b) { return id[a] < id[b]; });
  std::vector<std::int64_t> starts;  // first place in `order` of each piece that occurs
  for (std::int64_t i = 0; i < tokens; ++i) {
    if (i == 0 || id[order[i]] != id[order[i - 1]]) starts.push_back(i);
  }
  const auto distinct = static_cast<std::int64_t>(starts.size());
  starts.push_back(tokens);

  at::Tensor gradient = at::zeros({pieces, width}, dy.options());
  const T* in = dy.const_data_ptr<T>();
  T* out = gradient.mutable_data_ptr<T>();
  at::parallel_for(0, distinct, 16, [&](std::int64_t begin, std::int64_t end) {
    std::vector<float> sum(static_cast<std::size_t>(width));
    for (std::int64_t k = begin; k < end; ++k) {
      std::fill(sum.begin(), sum.end(), 0.0f);
      for (std::int64_t i = starts[k]; i < starts[k + 1]; ++i) {
        const T* row = in + order[i] * width;
        for (std::int64_t j = 0; j < width; ++j) sum[j] += static_cast<float>(row[j]);
      }
      T* row = out + id[order[starts[k]]] * width;
      for (std::int64_t j = 0; j < width; ++j) row[j] = static_cast<T>(sum[j]);
    }
  });
  return gradient;
}

struct Embedding : torch::autograd::Function<Embedding> {
  static at::Tensor forward(AutogradContext* ctx, const at::Tensor& given_ids,
                            const at::Tensor& given_weight) {
    const at::Tensor ids = given_ids.to(at::kLong).contiguous();
    const at::Tensor weight = given_weight.contiguous();
    ctx->save_for_backward({ids});
    ctx->saved_data["pieces"] = weight.size(0);
    return gather_rows(ids, weight);
  }

  static variable_list backward(AutogradContext* ctx, variable_list gradients) {
    const at::Tensor ids = ctx->get_saved_variables()[0];
    const std::int64_t pieces = ctx->saved_data["pieces"].toInt();
    const at::Tensor dy = gradients[0].contiguous();
    return {at::Tensor(), dy.scalar_type() == at::kBFloat16
                              ? scatter_rows<at::BFloat16>(ids, dy, pieces)
                              : scatter_rows<float>(ids, dy, pieces)};
  }
};

}  // namespace

at::Tensor composed::embedding(const at::Tensor& ids, const at::Tensor& weight) {
  return at::embedding(weight, ids);
}

at::Tensor embedding(const at::Tensor& ids, const at::Tensor& weight) {
  check_embedding(ids, weight);
  if (takes_kernels(weight)) return Embedding::apply(ids, weight);
  return composed::embedding(ids, weight);
}

}  // namespace tigerbot::ops
