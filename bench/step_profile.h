#pragma once

#include <ATen/core/Tensor.h>
#include <ATen/record_function.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "model/config.h"

/// Where the time of a training step goes, by kind of operation, beside what limits each kind:
/// dense products and attention by arithmetic, passes over memory by its bandwidth.
namespace tigerbot::train {

class StepProfile {
 public:
  StepProfile(const ModelConfig& config, double causal_pairs)
      : config_(config), causal_pairs_(causal_pairs) {
    current() = this;
  }

  /// "forward", "backward", "update": what is on from here.
  void set_phase(std::string phase) { phase_ = std::move(phase); }

  void start() {
    handle_ = at::addGlobalCallback(at::RecordFunctionCallback(&begin, &end).needsInputs(true));
  }
  void stop() { at::removeCallback(handle_); }

  /// A table of the kinds: time of a step, share of it, what was reached and what the limit is.
  /// `dense_peak` in operations a second, `bandwidth` in bytes a second.
  void print(double total_seconds, std::int64_t steps, double dense_peak, double bandwidth) const {
    std::vector<std::pair<std::string, Entry>> list(entries_.begin(), entries_.end());
    std::ranges::sort(
        list, [](const auto& a, const auto& b) { return a.second.seconds > b.second.seconds; });
    const auto n = static_cast<double>(steps);
    std::printf("dense products reach %.0f GFLOP/s, copies %.1f GB/s (read and written)\n",
                dense_peak / 1e9, bandwidth / 1e9);
    std::printf("%-44s %9s %7s %7s %16s %9s\n", "kind", "ms/step", "share", "calls", "reached",
                "of limit");
    double named = 0;
    for (const auto& [name, entry] : list) {
      named += entry.seconds;
      std::printf("%-44s %9.1f %6.1f%% %7.0f", name.c_str(), entry.seconds * 1e3 / n,
                  entry.seconds * 100 / total_seconds, static_cast<double>(entry.calls) / n);
      if (entry.operations > 0) {
        const double rate = entry.operations / entry.seconds;
        std::printf(" %9.0f GFLOP/s %8.0f%%", rate / 1e9, rate * 100 / dense_peak);
      } else if (entry.bytes > 0) {
        const double rate = entry.bytes / entry.seconds;
        std::printf(" %12.1f GB/s %8.0f%%", rate / 1e9, rate * 100 / bandwidth);
      }
      std::printf("\n");
    }
    std::printf("%-44s %9.1f %6.1f%%\n", "outside of all", (total_seconds - named) * 1e3 / n,
                (total_seconds - named) * 100 / total_seconds);
  }

 private:
  using Clock = std::chrono::steady_clock;
  struct Entry {
    double seconds = 0;  // own, without what an operation calls
    std::int64_t calls = 0;
    double operations = 0, bytes = 0;
  };
  struct Open {
    std::string kind;
    double operations, bytes;
    Clock::time_point start;
    double inside;
  };

  static StepProfile*& current() {
    static StepProfile* profile = nullptr;
    return profile;
  }

  static std::unique_ptr<at::ObserverContext> begin(const at::RecordFunction& function) {
    StepProfile& self = *current();
    Open open = self.describe(function);
    open.start = Clock::now();
    self.open_.push_back(std::move(open));
    return nullptr;
  }

  static void end(const at::RecordFunction&, at::ObserverContext*) {
    StepProfile& self = *current();
    const Open done = self.open_.back();
    self.open_.pop_back();
    const double all = std::chrono::duration<double>(Clock::now() - done.start).count();
    Entry& entry = self.entries_[done.kind];
    entry.seconds += all - done.inside;
    ++entry.calls;
    entry.operations += done.operations;
    entry.bytes += done.bytes;
    if (!self.open_.empty()) self.open_.back().inside += all;
  }

  /// Kind, arithmetic and traffic of an operation.
  Open describe(const at::RecordFunction& function) const {
    const std::string name = function.name();
    const bool of_output = std::ranges::any_of(
        open_, [](const Open& open) { return open.kind.starts_with("output layer"); });
    if (name == "aten::mm" || name == "aten::addmm_") {
      const auto inputs = function.inputs();
      const std::size_t first = name == "aten::mm" ? 0 : 1;
      const at::Tensor& a = inputs[first].toTensor();
      const at::Tensor& b = inputs[first + 1].toTensor();
      return {of_output ? "output layer: products" : "layers: products, " + phase_,
              2.0 * static_cast<double>(a.size(0) * a.size(1) * b.size(1)),
              0,
              {},
              0};
    }
    if (name == "tigerbot::attention") {
      // Two products of queries with keys and values forward, five backward.
      const double pair = static_cast<double>(config_.num_attention_heads * config_.head_dim) * 2;
      return {"layers: attention, " + phase_,
              (phase_ == "forward" ? 2 : 5) * pair * causal_pairs_,
              0,
              {},
              0};
    }
    static const std::map<std::string, std::string> kPasses = {
        {"tigerbot::norm", "layers: norms, with residual sums"},
        {"tigerbot::norm_backward", "layers: norms, gradients"},
        {"tigerbot::swiglu", "layers: SwiGLU"},
        {"tigerbot::swiglu_backward", "layers: SwiGLU, gradients"},
        {"tigerbot::rope", "layers: RoPE and its gradients"},
        {"tigerbot::softmax", "output layer: softmax, loss, gradients"},
        {"tigerbot::add_split", "output layer: sums of gradients"},
        {"tigerbot::embedding", "embedding"},
        {"tigerbot::embedding_backward", "embedding, gradients"},
        {"tigerbot::sum_of_squares", "update: length of the gradient"},
        {"tigerbot::adamw", "update: AdamW"},
    };
    if (const auto pass = kPasses.find(name); pass != kPasses.end()) {
      return {pass->second, 0, static_cast<double>(function.inputs()[0].toInt()), {}, 0};
    }
    if (name == "tigerbot::cross_entropy") return {"output layer: the rest", 0, 0, {}, 0};
    if (name == "aten::cat" || name == "aten::copy_") return {"copies", 0, 0, {}, 0};
    return {of_output ? "output layer: the rest" : "the rest, " + phase_, 0, 0, {}, 0};
  }

  ModelConfig config_;
  double causal_pairs_;
  std::string phase_ = "forward";
  std::map<std::string, Entry> entries_;
  std::vector<Open> open_;
  at::CallbackHandle handle_ = 0;
};

}  // namespace tigerbot::train
