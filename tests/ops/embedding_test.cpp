#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>
#include <gtest/gtest.h>

#include "ops/numeric.h"
#include "ops/ops.h"

namespace tigerbot::ops {
namespace {

at::Tensor ids_for(std::int64_t tokens, std::int64_t pieces) {
  at::Tensor ids = at::empty({tokens}, at::kLong);
  for (std::int64_t t = 0; t < tokens; ++t) ids[t] = t * t % pieces;  // repeats, and gaps
  return ids;
}

Function lookup(const at::Tensor& ids) {
  return [=](const Tensors& in) { return Tensors{ops::embedding(ids, in[0])}; };
}

TEST(Embedding, GivesTheRowsOfTheIds) {
  const at::Tensor weight = random_tensor({10, 3}, 1).to(at::kBFloat16);
  const at::Tensor ids = ids_for(6, 10);
  const at::Tensor rows = ops::embedding(ids, weight);
  for (int t = 0; t < 6; ++t) {
    expect_same_bits(rows[t], weight[ids[t].item<std::int64_t>()], "row");
  }
  expect_same_bits(ops::embedding(ids.to(at::kInt), weight), rows, "int32 ids");
}

TEST(Embedding, GradientsMatchDifferencesAndFloat64) {
  expect_gradients_match_differences(lookup(ids_for(7, 5)), {random_tensor({5, 3}, 1)});
  expect_kernels_match_float64(lookup(ids_for(200, 37)), {random_tensor({37, 19}, 1)});
}

TEST(Embedding, ThreadCountDoesNotMatter) {
  expect_thread_count_does_not_matter(lookup(ids_for(500, 100)), {random_tensor({100, 33}, 1)});
}

TEST(Embedding, NoTokensGiveNoRows) {
  const at::Tensor weight = random_tensor({10, 3}, 1).to(at::kFloat);
  EXPECT_EQ(ops::embedding(at::empty({0}, at::kLong), weight).size(0), 0);
}

TEST(Embedding, RefusesWhatDoesNotFit) {
  const at::Tensor weight = random_tensor({10, 3}, 1).to(at::kFloat);
  const at::Tensor ids = ids_for(4, 10);
  expect_error([&] { ops::embedding(ids + 1, weight.narrow(0, 0, 10)); }, "token 3 has id 10");
  expect_error([&] { ops::embedding(ids - 1, weight); }, "token 0 has id -1");
  expect_error([&] { ops::embedding(ids.to(at::kFloat), weight); }, "ids is float32 [4]");
  expect_error([&] { ops::embedding(ids.view({2, 2}), weight); }, "expected shape [any]");
}

}  // namespace
}  // namespace tigerbot::ops
