#include <ATen/ops/embedding.h>

#include "base/error.h"
#include "ops/checks.h"
#include "ops/composed.h"
#include "ops/ops.h"

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

}  // namespace

at::Tensor composed::embedding(const at::Tensor& ids, const at::Tensor& weight) {
  return at::embedding(weight, ids);
}

at::Tensor embedding(const at::Tensor& ids, const at::Tensor& weight) {
  check_embedding(ids, weight);
  return composed::embedding(ids, weight);
}

}  // namespace tigerbot::ops
