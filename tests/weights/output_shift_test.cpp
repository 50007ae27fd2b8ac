#include "weights/output_shift.h"

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/full.h>
#include <ATen/ops/item.h>
#include <ATen/ops/mean.h>
#include <ATen/ops/mv.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/softplus.h>
#include <gtest/gtest.h>

namespace tigerbot {
namespace {

constexpr std::int64_t kFeatures = 16;

/// Hidden states around `center` in the first feature; the second is 1 everywhere, as a final
/// norm's output has a constant part.
GateContexts contexts_around(double center, double log_odds, std::uint64_t seed) {
  auto generator = at::detail::createCPUGenerator(seed);
  at::Tensor hidden = at::randn({1500, kFeatures}, generator, at::TensorOptions(at::kDouble));
  hidden.select(1, 0).add_(center);
  hidden.select(1, 1).fill_(1);
  return {hidden, at::full({1500}, log_odds, at::kDouble)};
}

double loss(const GateContexts& old, const OutputShift& fitted) {
  return at::softplus(at::mv(old.hidden, fitted.shift.to(at::kDouble)) + old.offset)
      .mean()
      .item<double>();
}

TEST(OutputShift, OldTextKeepsItsProbabilityAndNewPiecesKeepTheirs) {
  const GateContexts old = contexts_around(-8, -4, 1), check = contexts_around(-8, -4, 2);
  const OutputShift fitted =
      fit_output_shift(old, check, contexts_around(8, -4, 3), contexts_around(8, -4, 4), 2e-5);
  EXPECT_NEAR(fitted.unshifted_loss, 0.01815, 1e-4);  // log(1 + e^-4)
  EXPECT_LE(fitted.old_text_loss, 2e-5);
  EXPECT_NEAR(loss(check, fitted), fitted.old_text_loss, 1e-6);
  // Where a new piece comes next it is likelier than before (4.02 nats), not less likely.
  EXPECT_LT(fitted.new_piece_loss, 0.5);
}

TEST(OutputShift, ContextsThatCannotBeToldApartAreLoweredTogether) {
  const GateContexts old = contexts_around(0, -4, 1), check = contexts_around(0, -4, 2);
  const OutputShift fitted =
      fit_output_shift(old, check, contexts_around(0, -4, 3), contexts_around(0, -4, 4), 2e-5);
  EXPECT_LE(fitted.old_text_loss, 2e-5);
  EXPECT_GT(fitted.new_piece_loss, 8);
  // Along the constant part alone: 7 nats and no more.
  EXPECT_NEAR(fitted.shift[1].item<float>(), -6.8, 0.5);
}

}  // namespace
}  // namespace tigerbot
