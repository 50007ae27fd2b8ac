// Products with quantized weights beside bfloat16 ones: the share of memory bandwidth that a few
// rows reach, and the operations of many.
//
//   bench_quantized [--threads 2]

#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/full.h>
#include <ATen/ops/rand.h>
#include <ATen/ops/randint.h>
#include <ATen/ops/randn.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "infer/speed.h"
#include "ops/cpu/allocator.h"
#include "ops/linear.h"
#include "ops/quantized_linear.h"

namespace tigerbot {
namespace {

double seconds(const auto& fn) {
  fn();
  double best = 1e30;
  for (int i = 0; i < 7; ++i) {
    const auto start = std::chrono::steady_clock::now();
    fn();
    best = std::min(
        best, std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
  }
  return best;
}

enum class Kind { kSymmetric, kZeros, kOffsets, kSuper };

struct Format {
  const char* name;
  int bits;
  std::int64_t group;
  Kind kind;
};

ops::QuantizedWeight random_weight(const Format& format, std::int64_t out, std::int64_t in) {
  const std::int64_t group = format.group < 0 ? in : format.group;
  const std::int64_t groups = (in + group - 1) / group;
  ops::QuantizedParts parts;
  parts.bits = format.bits;
  parts.codes = at::randint(1 << format.bits, {out, in}, at::kLong).to(at::kByte);
  parts.scales = (at::rand({groups, out}) * 0.01).to(at::kHalf);
  parts.group_of = at::arange(in, at::kLong).div(group, "floor").to(at::kInt);
  parts.zeros = format.kind == Kind::kZeros
                    ? at::randint(1 << format.bits, {groups, out}, at::kLong).to(at::kShort)
                    : at::full({groups, out}, 1 << (format.bits - 1), at::kShort);
  if (format.kind == Kind::kOffsets) {
    parts.zeros = at::Tensor();
    parts.offsets = (at::rand({groups, out}) * 0.01).to(at::kHalf);
  }
  if (format.kind == Kind::kSuper) {
    parts.groups_per_super = groups % (256 / group) == 0 ? 256 / group : groups;
    const std::int64_t supers = groups / parts.groups_per_super;
    parts.scales = at::randint(64, {groups, out}, at::kLong).to(at::kChar);
    parts.super_scales = (at::rand({supers, out}) * 0.001).to(at::kHalf);
    if (format.bits == 4) {
      parts.zeros = at::Tensor();
      parts.offsets = at::randint(64, {groups, out}, at::kLong).to(at::kByte);
      parts.super_offsets = parts.super_scales.clone();
    }
  }
  return ops::QuantizedWeight(parts);
}

constexpr int kRows[] = {1, 2, 4, 8, 16, 32, 128, 512};

template <class Weight>
void measure(const char* name, const std::vector<Weight>& weights, double bytes, double limit,
             std::int64_t out, std::int64_t in) {
  std::printf("%-26s", name);
  for (const int rows : kRows) {
    const at::Tensor x = at::randn({rows, in}).to(at::kBFloat16);
    const double time = seconds([&] {
      for (const Weight& w : weights) ops::linear(x, w);
    });
    const auto copies = static_cast<double>(weights.size());
    const auto operations = 2.0 * rows * static_cast<double>(out * in) * copies;
    if (rows == 1) {
      const double rate = bytes * copies / time;
      std::printf(" %5.1f GB/s %3.0f%%", rate / 1e9, 100 * rate / limit);
    }
    std::printf(" %6.0f", operations / time / 1e9);
  }
  std::printf("\n");
}

int run(int argc, char** argv) {
  cpu::install_tensor_allocator();
  int threads = 2;
  for (int i = 1; i + 1 < argc; ++i) {
    if (std::string(argv[i]) == "--threads") threads = std::atoi(argv[++i]);
  }
  at::set_num_threads(threads);
  const at::NoGradGuard no_grad;
  const MachineLimits limits = measure_machine_limits(at::kBFloat16);
  std::printf("%d threads; memory reads %.1f GB/s, dense bfloat16 products %.0f GFLOP/s\n", threads,
              limits.read_bytes_per_second / 1e9, limits.products_per_second / 1e9);
  for (const auto& [out, in] :
       std::vector<std::pair<std::int64_t, std::int64_t>>{{1536, 576}, {576, 1536}, {8192, 2048}}) {
    // Enough different weights that they come from memory.
    const auto copies = std::max<std::int64_t>(1, 120'000'000 / (out * in));
    std::printf("\n%ld x %ld; one row: weights read; then GFLOP/s of", out, in);
    for (const int rows : kRows) std::printf(" %d", rows);
    std::printf(" rows\n");
    std::vector<ops::PackedWeight> dense;
    for (std::int64_t i = 0; i < copies; ++i) {
      dense.emplace_back(at::randn({out, in}).to(at::kBFloat16));
    }
    measure("bfloat16", dense, 2.0 * static_cast<double>(out * in), limits.read_bytes_per_second,
            out, in);
    dense.clear();
    for (const Format& format : {Format{"4 bits by 32 (Q4_0)", 4, 32, Kind::kSymmetric},
                                 Format{"4 bits by 128, zeros", 4, 128, Kind::kZeros},
                                 Format{"4 bits by 32, offsets", 4, 32, Kind::kOffsets},
                                 Format{"4 bits by 32, super (Q4_K)", 4, 32, Kind::kSuper},
                                 Format{"8 bits by row (W8A16)", 8, -1, Kind::kSymmetric},
                                 Format{"8 bits by 32 (Q8_0)", 8, 32, Kind::kSymmetric},
                                 Format{"6 bits by 16, super (Q6_K)", 6, 16, Kind::kSuper}}) {
      std::vector<ops::QuantizedWeight> weights;
      for (std::int64_t i = 0; i < copies; ++i) weights.push_back(random_weight(format, out, in));
      measure(format.name, weights, static_cast<double>(weights.front().bytes()),
              limits.read_bytes_per_second, out, in);
    }
  }
  return 0;
}

}  // namespace
}  // namespace tigerbot

int main(int argc, char** argv) { return tigerbot::run(argc, argv); }
