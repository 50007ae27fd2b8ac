// The memory-bound operations and the fused cross entropy beside ATen's own, interleaved, bfloat16.
//
//   bench_ops [threads=2] [repetitions=9] [tokens=16384] [width=1536]
//   bench_ops cross-entropy [threads=2] [repetitions=3] [tokens=2048] [pieces=49152] [width=576]
//
// Times are the best of the runs, then their median and spread: on a machine that does other work
// too, only the best says what the code can do. Rates, shares and ratios are of the best.
// GB/s counts each input read once and each output written once; the share is of the best of this
// program's copy and triad over float32 arrays, counted the same way. The arrays lie far beyond
// the caches.

#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/add.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/cross_entropy_loss.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/gelu.h>
#include <ATen/ops/layer_norm.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/neg.h>
#include <ATen/ops/rand.h>
#include <ATen/ops/randint.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/rms_norm.h>
#include <ATen/ops/silu.h>
#include <c10/core/CPUAllocator.h>
#include <c10/core/GradMode.h>
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <mutex>
#include <string>
#include <unordered_map>
#include <vector>

#include "ops/cpu/allocator.h"
#include "ops/ops.h"

namespace {

double seconds(const std::function<void()>& work) {
  const auto start = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

struct Times {
  std::vector<double> all;
  double median() {
    std::sort(all.begin(), all.end());
    return all[all.size() / 2];
  }
  double best() { return *std::min_element(all.begin(), all.end()); }
  double spread() {
    std::sort(all.begin(), all.end());
    return (all.back() - all.front()) / median() * 100;
  }
};

// --- Memory bandwidth ----------------------------------------------------------------------------

using Span = std::function<void(std::int64_t begin, std::int64_t end)>;

double bandwidth(std::int64_t n, double bytes_each, int repetitions, const Span& work) {
  Times times;
  for (int i = 0; i <= repetitions; ++i) {
    const double t = seconds([&] { at::parallel_for(0, n, 1 << 14, work); });
    if (i > 0) times.all.push_back(t);
  }
  return static_cast<double>(n) * bytes_each / times.best() / 1e9;
}

double measured_bandwidth(int repetitions) {
  constexpr std::int64_t kCount = 24 << 20;
  const at::Tensor a = at::rand({kCount});
  const at::Tensor b = at::rand({kCount});
  const at::Tensor c = at::rand({kCount});
  const float* x = a.const_data_ptr<float>();
  const float* y = b.const_data_ptr<float>();
  auto* z = c.mutable_data_ptr<float>();
  const double copy = bandwidth(kCount, 8, repetitions, [&](std::int64_t begin, std::int64_t end) {
    std::memcpy(z + begin, x + begin, static_cast<std::size_t>(end - begin) * sizeof(float));
  });
  const double triad =
      bandwidth(kCount, 12, repetitions, [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t i = begin; i < end; i += 4) {
          for (int k = 0; k < 4; ++k) z[i + k] = x[i + k] + 3.0f * y[i + k];
        }
      });
  fmt::print("memory: copy {:.1f} GB/s, triad {:.1f} GB/s (reads and writes)\n", copy, triad);
  return std::max(copy, triad);
}

// --- One operation beside its peer ---------------------------------------------------------------

struct Operation {
  const char* name;
  std::vector<at::Tensor> inputs;  // those with gradients take part in the backward pass
  double forward_bytes;
  double backward_bytes;
  std::function<at::Tensor(const std::vector<at::Tensor>&)> ours;
  std::function<at::Tensor(const std::vector<at::Tensor>&)> peer;
};

void print_row(const std::string& name, double bytes, double limit, Times ours, Times peer) {
  const double rate = bytes / ours.best() / 1e9;
  fmt::print(
      "{:<28} {:>8.2f} {:>8.2f} {:>6.0f}% {:>6.1f} {:>5.0f}% {:>8.2f} {:>8.2f} {:>6.0f}% "
      "{:>6.2f}\n",
      name, ours.best() * 1e3, ours.median() * 1e3, ours.spread(), rate, rate / limit * 100,
      peer.best() * 1e3, peer.median() * 1e3, peer.spread(), peer.best() / ours.best());
}

void compare(const Operation& operation, int repetitions, double limit) {
  std::vector<at::Tensor> inputs;
  for (const at::Tensor& x : operation.inputs) {
    inputs.push_back(x.is_floating_point() ? x.detach().set_requires_grad(true) : x);
  }
  Times forward[2];
  Times backward[2];
  at::Tensor gradient;
  for (int i = 0; i <= repetitions; ++i) {
    for (int which = 0; which < 2; ++which) {
      const auto& run = which == 0 ? operation.ours : operation.peer;
      at::Tensor output;
      const double f = seconds([&] { output = run(inputs); });
      if (!gradient.defined()) gradient = at::randn(output.sizes(), output.options());
      const double b = seconds([&] { output.backward(gradient); });
      for (const at::Tensor& x : inputs) x.mutable_grad().reset();
      if (i == 0) continue;  // the first is a warm-up
      forward[which].all.push_back(f);
      backward[which].all.push_back(b);
    }
  }
  print_row(operation.name, operation.forward_bytes, limit, forward[0], forward[1]);
  print_row(std::string(operation.name) + ", backward", operation.backward_bytes, limit,
            backward[0], backward[1]);
}

at::Tensor rope_of_aten(const at::Tensor& x, const at::Tensor& cos, const at::Tensor& sin) {
  const std::int64_t half = x.size(2) / 2;
  const at::Tensor turned = at::cat({-x.narrow(2, half, half), x.narrow(2, 0, half)}, 2);
  return x * cos + turned * sin;
}

void memory_bound(int repetitions, std::int64_t tokens, std::int64_t width) {
  using namespace tigerbot::ops;
  const auto options = at::TensorOptions().dtype(at::kBFloat16);
  const double limit = measured_bandwidth(repetitions);
  const at::Tensor x = at::randn({tokens, width}, options);
  const at::Tensor other = at::randn({tokens, width}, options);
  const at::Tensor weight = at::randn({width}, options);
  const at::Tensor bias = at::randn({width}, options);
  const double bytes = 2.0 * static_cast<double>(tokens) * static_cast<double>(width);
  constexpr double kEps = 1e-5;
  fmt::print("{} threads, [{}, {}] bfloat16, {} runs\n", at::get_num_threads(), tokens, width,
             repetitions);
  fmt::print("{:<28} {:>8} {:>8} {:>7} {:>6} {:>6} {:>8} {:>8} {:>7} {:>6}\n", "", "ours ms",
             "median", "spread", "GB/s", "share", "ATen ms", "median", "spread", "ratio");

  compare({"rms_norm",
           {x, weight},
           2 * bytes,
           3 * bytes,
           [&](const auto& in) { return rms_norm(in[0], in[1], kEps); },
           [&](const auto& in) { return at::rms_norm(in[0], {width}, in[1], kEps); }},
          repetitions, limit);
  compare({"rms_norm_residual",
           {x, other, weight},
           4 * bytes,
           3 * bytes,
           [&](const auto& in) { return rms_norm_residual(in[0], in[1], in[2], kEps).first; },
           [&](const auto& in) { return at::rms_norm(in[0] + in[1], {width}, in[2], kEps); }},
          repetitions, limit);
  compare({"layer_norm",
           {x, weight, bias},
           2 * bytes,
           3 * bytes,
           [&](const auto& in) { return layer_norm(in[0], in[1], in[2], kEps); },
           [&](const auto& in) { return at::layer_norm(in[0], {width}, in[1], in[2], kEps); }},
          repetitions, limit);
  compare({"swiglu",
           {x, other},
           3 * bytes,
           5 * bytes,
           [](const auto& in) { return swiglu(in[0], in[1]); },
           [](const auto& in) { return at::silu(in[0]) * in[1]; }},
          repetitions, limit);
  compare({"gelu, exact",
           {x},
           2 * bytes,
           3 * bytes,
           [](const auto& in) { return gelu(in[0], Gelu::kExact); },
           [](const auto& in) { return at::gelu(in[0]); }},
          repetitions, limit);
  compare({"gelu, tanh",
           {x},
           2 * bytes,
           3 * bytes,
           [](const auto& in) { return gelu(in[0], Gelu::kTanh); },
           [](const auto& in) { return at::gelu(in[0], "tanh"); }},
          repetitions, limit);

  constexpr std::int64_t kHeadDim = 64;
  const at::Tensor heads = x.view({tokens, width / kHeadDim, kHeadDim});
  const at::Tensor angle = at::rand({tokens, kHeadDim / 2});
  const RopeAngles angles{angle.cos(), angle.sin()};
  const at::Tensor cos = at::cat({angles.cos, angles.cos}, 1).to(at::kBFloat16).unsqueeze(1);
  const at::Tensor sin = at::cat({angles.sin, angles.sin}, 1).to(at::kBFloat16).unsqueeze(1);
  for (const RopeLayout layout : {RopeLayout::kHalfSplit, RopeLayout::kAdjacentPair}) {
    compare({layout == RopeLayout::kHalfSplit ? "rope, half-split" : "rope, adjacent pairs",
             {heads},
             2 * bytes,
             2 * bytes,
             [&](const auto& in) { return rope(in[0], angles, layout); },
             [&](const auto& in) { return rope_of_aten(in[0], cos, sin); }},
            repetitions, limit);
  }
}

// --- Cross entropy -------------------------------------------------------------------------------

/// Counts the bytes of live tensors and their peak, in front of the allocator that is in use.
class CountingAllocator : public c10::Allocator {
 public:
  explicit CountingAllocator(c10::Allocator* below) : below_(below) {}

  c10::DataPtr allocate(std::size_t bytes) override {
    c10::DataPtr memory = below_->allocate(bytes);
    void* address = memory.get();
    const std::lock_guard lock(mutex);
    live += bytes;
    peak = std::max(peak, live);
    if (address != nullptr) blocks.emplace(address, Block{std::move(memory), bytes});
    return {address, address, &release, c10::Device(c10::kCPU)};
  }
  c10::DeleterFnPtr raw_deleter() const override { return &release; }
  void copy_data(void* to, const void* from, std::size_t bytes) const override {
    std::memcpy(to, from, bytes);
  }

  static inline std::size_t live = 0;
  static inline std::size_t peak = 0;

 private:
  struct Block {
    c10::DataPtr memory;
    std::size_t bytes;
  };
  static void release(void* address) {
    const std::lock_guard lock(mutex);
    const auto found = blocks.find(address);
    if (found == blocks.end()) return;
    live -= found->second.bytes;
    blocks.erase(found);
  }

  static inline std::mutex mutex;
  static inline std::unordered_map<void*, Block> blocks;
  c10::Allocator* below_;
};

void cross_entropy(int repetitions, std::int64_t tokens, std::int64_t pieces, std::int64_t width) {
  const auto options = at::TensorOptions().dtype(at::kBFloat16);
  const at::Tensor hidden = at::randn({tokens, width}, options).set_requires_grad(true);
  const at::Tensor weight =
      (at::randn({pieces, width}) * 0.05).to(at::kBFloat16).set_requires_grad(true);
  const at::Tensor labels = at::randint(pieces, {tokens}, at::kLong);
  CountingAllocator counting(c10::GetCPUAllocator());
  c10::SetCPUAllocator(&counting, 200);
  const auto ours = [&] { tigerbot::ops::cross_entropy(hidden, weight, labels).loss.backward(); };
  const auto peer = [&] {
    at::cross_entropy_loss(at::linear(hidden, weight), labels, {}, at::Reduction::Sum).backward();
  };
  Times times[2];
  double extra[2] = {0, 0};
  const double results = 2.0 * static_cast<double>((pieces + tokens) * width);
  for (int i = 0; i <= repetitions; ++i) {
    for (int which = 0; which < 2; ++which) {
      const std::size_t before = CountingAllocator::live;
      CountingAllocator::peak = before;
      const double t = seconds([&] { which == 0 ? ours() : peer(); });
      extra[which] = static_cast<double>(CountingAllocator::peak - before);
      hidden.mutable_grad().reset();
      weight.mutable_grad().reset();
      if (i > 0) times[which].all.push_back(t);
    }
  }
  // What the three products alone would take, at this run's rate of the first of them.
  Times product;
  {
    const c10::AutoGradMode no_gradients(false);
    for (int i = 0; i <= repetitions; ++i) {
      const double t = seconds([&] { at::linear(hidden, weight); });
      if (i > 0) product.all.push_back(t);
    }
  }
  const double operations =
      2.0 * static_cast<double>(tokens) * static_cast<double>(pieces) * static_cast<double>(width);
  fmt::print("cross_entropy, forward and backward, {} tokens, {} pieces, width {}, bfloat16\n",
             tokens, pieces, width);
  fmt::print("best (median) of {}: ours {:.3f} ({:.3f}) s, ATen {:.3f} ({:.3f}) s, ratio {:.2f}\n",
             repetitions, times[0].best(), times[0].median(), times[1].best(), times[1].median(),
             times[1].best() / times[0].best());
  fmt::print("one product alone {:.3f} s ({:.0f} GFLOP/s): three are {:.0f}% of ours\n",
             product.best(), operations / product.best() / 1e9,
             3 * product.best() / times[0].best() * 100);
  fmt::print("peak memory: ours {:.1f} MB, ATen {:.1f} MB; of it {:.1f} MB are the gradients\n",
             extra[0] / 1e6, extra[1] / 1e6, results / 1e6);
}

}  // namespace

int main(int argc, char** argv) {
  const bool loss = argc > 1 && std::strcmp(argv[1], "cross-entropy") == 0;
  const std::vector<std::string> arguments(argv + (loss ? 2 : 1), argv + argc);
  const auto argument = [&](std::size_t i, int otherwise) {
    return i < arguments.size() ? std::atoi(arguments[i].c_str()) : otherwise;
  };
  std::setvbuf(stdout, nullptr, _IOLBF, 0);
  tigerbot::cpu::install_tensor_allocator();
  at::set_num_threads(argument(0, 2));
  if (loss) {
    cross_entropy(argument(1, 3), argument(2, 2048), argument(3, 49152), argument(4, 576));
  } else {
    memory_bound(argument(1, 9), argument(2, 16384), argument(3, 1536));
  }
  return 0;
}
