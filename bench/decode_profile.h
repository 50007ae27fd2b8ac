#pragma once

#include <ATen/record_function.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

namespace tigerbot {

/// Where the time of a decode step goes, as the thread that asks for it sees it (its waiting for
/// the others included), by the names that ops/recorded.h gives: beside each product's time the
/// bytes of weights that it has to read.
class DecodeProfile {
 public:
  DecodeProfile() { current() = this; }

  void start() {
    handle_ = at::addGlobalCallback(at::RecordFunctionCallback(&begin, &end).needsInputs(true));
  }
  void stop() { at::removeCallback(handle_); }

  /// A Markdown table of the kinds, the longest first. `bandwidth` in bytes a second.
  void print(double total_seconds, std::int64_t steps, double bandwidth) const {
    std::vector<std::pair<std::string, Entry>> list(entries_.begin(), entries_.end());
    std::ranges::sort(
        list, [](const auto& a, const auto& b) { return a.second.seconds > b.second.seconds; });
    const auto n = static_cast<double>(steps);
    std::printf("| part | us a token | share | weights, MB | GB/s | of bandwidth |\n");
    std::printf("|---|---|---|---|---|---|\n");
    double named = 0, bytes = 0;
    const auto line = [&](const char* name, double seconds, double read) {
      std::printf("| %s | %.0f | %.0f%% |", name, seconds * 1e6 / n, seconds * 100 / total_seconds);
      if (read > 0) {
        std::printf(" %.1f | %.1f | %.0f%% |\n", read / n / 1e6, read / seconds / 1e9,
                    100 * read / seconds / bandwidth);
      } else {
        std::printf("  |  |  |\n");
      }
    };
    for (const auto& [name, entry] : list) {
      named += entry.seconds;
      bytes += entry.bytes;
      line(name.c_str(), entry.seconds, entry.bytes);
    }
    line("the rest (embedding, choice of the token, tables)", total_seconds - named, 0);
    line("all", total_seconds, bytes);
  }

 private:
  using Clock = std::chrono::steady_clock;
  struct Entry {
    double seconds = 0, bytes = 0;
  };
  struct Open {
    const char* kind;  // null: of no interest
    double bytes;
    Clock::time_point start;
  };

  static DecodeProfile*& current() {
    static DecodeProfile* profile = nullptr;
    return profile;
  }

  static const char* kind_of(std::string_view name) {
    static const std::map<std::string_view, const char*> kKinds = {
        {"tigerbot::step_query_key_value", "query, key and value products"},
        {"tigerbot::step_output", "attention's output product"},
        {"tigerbot::step_gate_up", "gate and up products, SwiGLU"},
        {"tigerbot::step_down", "down product"},
        {"tigerbot::step_attention", "attention"},
        {"tigerbot::step_norm", "norms, with rounding for the product after"},
        {"tigerbot::step_round", "rounding for the other products"},
        {"tigerbot::step_rope", "RoPE, keys and values into the cache"},
        {"tigerbot::quantized_linear", "output layer, 8 bits"},
        {"tigerbot::packed_linear", "output layer, bfloat16"},
    };
    const auto found = kKinds.find(name);
    return found == kKinds.end() ? nullptr : found->second;
  }

  static std::unique_ptr<at::ObserverContext> begin(const at::RecordFunction& function) {
    DecodeProfile& self = *current();
    if (std::this_thread::get_id() != self.thread_) return nullptr;
    const char* kind = kind_of(function.name());
    const double bytes = kind != nullptr ? static_cast<double>(function.inputs()[0].toInt()) : 0.0;
    self.open_.push_back({kind, bytes, Clock::now()});
    return nullptr;
  }

  static void end(const at::RecordFunction&, at::ObserverContext*) {
    DecodeProfile& self = *current();
    if (std::this_thread::get_id() != self.thread_) return;
    const Open done = self.open_.back();
    self.open_.pop_back();
    if (done.kind == nullptr) return;
    Entry& entry = self.entries_[done.kind];
    entry.seconds += std::chrono::duration<double>(Clock::now() - done.start).count();
    entry.bytes += done.bytes;
  }

  std::thread::id thread_ = std::this_thread::get_id();
  std::map<std::string, Entry> entries_;
  std::vector<Open> open_;
  at::CallbackHandle handle_ = 0;
};

}  // namespace tigerbot
