#include "serve/metrics.h"

#include <dirent.h>
#include <fmt/format.h>
#include <unistd.h>

#include <ctime>
#include <fstream>

namespace tigerbot::serve {

namespace {

std::string with_label(const std::string& labels, std::string_view more) {
  if (labels.empty()) return std::string(more);
  return labels + "," + std::string(more);
}

}  // namespace

void Histogram::write(std::string& text, std::string_view name, const std::string& labels) const {
  std::uint64_t total = 0;
  for (std::size_t i = 0; i <= kBounds.size(); ++i) {
    total += counts_[i].load(std::memory_order_relaxed);
    const std::string bound = i < kBounds.size() ? fmt::format("{}", kBounds[i]) : "+Inf";
    text += fmt::format("{}_bucket{{{}}} {}\n", name, with_label(labels, metric_label("le", bound)),
                        total);
  }
  const double sum = static_cast<double>(nanoseconds_.load(std::memory_order_relaxed)) * 1e-9;
  write_metric(text, fmt::format("{}_sum", name), labels, sum);
  write_metric(text, fmt::format("{}_count", name), labels, static_cast<double>(total));
}

void RequestCounts::count(const std::string& path, int status) {
  const std::lock_guard lock(mutex_);
  ++counts_[{path, status}];
}

void RequestCounts::write(std::string& text) const {
  write_metric_head(text, "tigerbot_http_requests_total", "counter", "Requests answered");
  const std::lock_guard lock(mutex_);
  for (const auto& [key, count] : counts_) {
    write_metric(
        text, "tigerbot_http_requests_total",
        metric_label("path", key.first) + "," + metric_label("status", std::to_string(key.second)),
        static_cast<double>(count));
  }
}

void write_metric_head(std::string& text, std::string_view name, std::string_view type,
                       std::string_view help) {
  text += fmt::format("# HELP {} {}\n# TYPE {} {}\n", name, help, name, type);
}

void write_metric(std::string& text, std::string_view name, const std::string& labels,
                  double value) {
  text += labels.empty() ? fmt::format("{} {}\n", name, value)
                         : fmt::format("{}{{{}}} {}\n", name, labels, value);
}

std::string metric_label(std::string_view key, std::string_view value) {
  std::string text(key);
  text += "=\"";
  for (const char c : value) {
    if (c == '\\' || c == '"') text += '\\';
    if (c == '\n') {
      text += "\\n";
    } else {
      text += c;
    }
  }
  return text + "\"";
}

void write_process_metrics(std::string& text) {
  std::ifstream statm("/proc/self/statm");
  double pages = 0;
  double resident = 0;
  if (statm >> pages >> resident) {
    write_metric_head(text, "process_resident_memory_bytes", "gauge", "Memory in use");
    write_metric(text, "process_resident_memory_bytes", "",
                 resident * static_cast<double>(::sysconf(_SC_PAGESIZE)));
  }
  if (DIR* folder = ::opendir("/proc/self/fd")) {
    double files = -3;  // ".", ".." and the folder itself
    while (::readdir(folder) != nullptr) ++files;
    ::closedir(folder);
    write_metric_head(text, "process_open_fds", "gauge", "Open file descriptors");
    write_metric(text, "process_open_fds", "", files);
  }
  timespec used{};
  if (::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used) == 0) {
    write_metric_head(text, "process_cpu_seconds_total", "counter", "Processor time");
    write_metric(text, "process_cpu_seconds_total", "",
                 static_cast<double>(used.tv_sec) + static_cast<double>(used.tv_nsec) * 1e-9);
  }
}

}  // namespace tigerbot::serve
