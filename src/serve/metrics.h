#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

namespace tigerbot::serve {

/// Times in seconds, counted in Prometheus's way. From any thread.
class Histogram {
 public:
  static constexpr std::array<double, 16> kBounds{
      0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300};

  void observe(double seconds, std::uint64_t times = 1) {
    std::size_t bucket = 0;
    while (bucket < kBounds.size() && seconds > kBounds[bucket]) ++bucket;
    counts_[bucket].fetch_add(times, std::memory_order_relaxed);
    nanoseconds_.fetch_add(static_cast<std::uint64_t>(seconds * 1e9) * times,
                           std::memory_order_relaxed);
  }

  /// The lines of a metric; `labels` is empty or "model=\"name\"".
  void write(std::string& text, std::string_view name, const std::string& labels) const;

 private:
  std::array<std::atomic<std::uint64_t>, kBounds.size() + 1> counts_{};
  std::atomic<std::uint64_t> nanoseconds_ = 0;
};

/// What one model's answers took, measured where the engine makes them.
struct ModelMetrics {
  Histogram time_to_first_token;  ///< from the whole request to the first token
  Histogram time_between_tokens;
  Histogram answer_time;  ///< from the whole request to the end
};

/// Requests by path, method and status. From any thread.
class RequestCounts {
 public:
  void count(const std::string& path, int status);
  void write(std::string& text) const;

 private:
  mutable std::mutex mutex_;
  std::map<std::pair<std::string, int>, std::uint64_t> counts_;
};

/// "# HELP" and "# TYPE" of a metric.
void write_metric_head(std::string& text, std::string_view name, std::string_view type,
                       std::string_view help);

/// One value; `labels` is empty or "model=\"name\"".
void write_metric(std::string& text, std::string_view name, const std::string& labels,
                  double value);

/// `key="value"` with what must be escaped.
std::string metric_label(std::string_view key, std::string_view value);

/// What the process uses, in the names that Prometheus's clients share.
void write_process_metrics(std::string& text);

}  // namespace tigerbot::serve
