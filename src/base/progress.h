#pragma once

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <mutex>
#include <string>

namespace tigerbot {

/// A progress bar on stderr: done, rate and time left. On a terminal it is one line redrawn in
/// place; elsewhere a plain line appears every ten seconds or so. Safe to advance from any thread.
class Progress {
 public:
  enum class Unit { kItems, kBytes };

  struct Options {
    std::string unit_name = "";  ///< after the rate, for items: "documents"
    Unit unit = Unit::kItems;    ///< kBytes shows MiB and so on
    std::FILE* stream = stderr;  ///< tests look elsewhere
    bool enabled = true;         ///< false: nothing is ever shown
    double plain_interval = 10;  ///< seconds between plain lines
  };

  /// `total` 0 means that it is not known: count and rate are shown, no bar and no time left.
  Progress(std::string label, std::uint64_t total, Options options);
  Progress(std::string label, std::uint64_t total) : Progress(std::move(label), total, Options{}) {}
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  void advance(std::uint64_t amount = 1);
  /// Sets how much is done (a download that resumes starts past zero); the rate counts only what
  /// came after the first call.
  void set_done(std::uint64_t done);
  void set_total(std::uint64_t total);
  /// A word or two after the numbers, such as the current loss.
  void set_note(std::string note);

  /// Shows the last state and ends the line; the destructor does it otherwise.
  void finish();

 private:
  void show(bool last);
  std::string line(double elapsed) const;

  std::mutex mutex_;
  const std::string label_;
  const Options options_;
  std::uint64_t total_, done_ = 0, start_done_ = 0;
  std::string note_;
  bool terminal_, finished_ = false, shown_ = false, counting_ = false;
  std::chrono::steady_clock::time_point start_, last_shown_;
};

}  // namespace tigerbot
