#include "model/low_rank_adapter.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/add.h>
#include <ATen/ops/matmul.h>

#include "ops/dropout.h"
#include "ops/ops.h"

namespace tigerbot {

at::Tensor add_adapter(const at::Tensor& x, const at::Tensor& y, const LowRankAdapter& adapter) {
  at::Tensor dropped = x;
  if (adapter.dropout > 0 && adapter.clock && adapter.clock->training) {
    // 2^40 numbers for each micro-batch: more than any has elements.
    const RandomKey key{adapter.clock->seed, adapter.stream, adapter.clock->micro_batch << 40};
    dropped = ops::dropout(x, adapter.dropout, key);
  }
  const at::Tensor low = ops::linear(dropped.to(adapter.a.scalar_type()), adapter.a);
  return at::add(y, ops::linear(low, adapter.b).to(y.scalar_type()), adapter.scale);
}

at::Tensor adapter_product(const LowRankAdapter& adapter) {
  return at::matmul(adapter.b.detach().to(at::kFloat), adapter.a.detach().to(at::kFloat)) *
         adapter.scale;
}

}  // namespace tigerbot
