#include "base/progress.h"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>

#include "base/text.h"

namespace tigerbot {
namespace {

using Clock = std::chrono::steady_clock;

constexpr double kRedrawInterval = 0.1;

double seconds_between(Clock::time_point a, Clock::time_point b) {
  return std::chrono::duration<double>(b - a).count();
}

std::size_t terminal_width(std::FILE* stream) {
  winsize size{};
  if (::ioctl(::fileno(stream), TIOCGWINSZ, &size) != 0 || size.ws_col == 0) return 80;
  return size.ws_col;
}

std::string rate_text(double rate, const Progress::Options& options) {
  if (options.unit == Progress::Unit::kBytes)
    return format_bytes(static_cast<std::uint64_t>(rate)) + "/s";
  const std::string number = rate < 10
                                 ? fmt::format("{:.2f}", rate)
                                 : format_count(static_cast<std::uint64_t>(std::llround(rate)));
  return options.unit_name.empty() ? number + "/s" : number + " " + options.unit_name + "/s";
}

std::string amount_text(std::uint64_t amount, Progress::Unit unit) {
  return unit == Progress::Unit::kBytes ? format_bytes(amount) : format_count(amount);
}

}  // namespace

Progress::Progress(std::string label, std::uint64_t total, Options options)
    : label_(std::move(label)),
      options_(std::move(options)),
      total_(total),
      terminal_(::isatty(::fileno(options_.stream)) == 1),
      start_(Clock::now()),
      last_shown_(start_) {}

Progress::~Progress() { finish(); }

void Progress::advance(std::uint64_t amount) {
  const std::lock_guard lock(mutex_);
  counting_ = true;
  done_ += amount;
  show(false);
}

void Progress::set_done(std::uint64_t done) {
  const std::lock_guard lock(mutex_);
  if (!counting_) {
    counting_ = true;
    start_done_ = done;
  }
  done_ = done;
  show(false);
}

void Progress::set_total(std::uint64_t total) {
  const std::lock_guard lock(mutex_);
  total_ = total;
}

void Progress::set_note(std::string note) {
  const std::lock_guard lock(mutex_);
  note_ = std::move(note);
}

void Progress::finish() {
  const std::lock_guard lock(mutex_);
  if (finished_) return;
  finished_ = true;
  show(true);
}

void Progress::show(bool last) {
  if (!options_.enabled) return;
  const auto now = Clock::now();
  const double since = seconds_between(last_shown_, now);
  // A short task shows no plain lines at all, but its end.
  if (!last && since < (terminal_ ? kRedrawInterval : options_.plain_interval)) return;
  if (last && !terminal_ && done_ == 0 && !shown_) return;
  last_shown_ = now;
  shown_ = true;
  std::string text = line(seconds_between(start_, now));
  if (terminal_) {
    const std::size_t width = terminal_width(options_.stream);
    if (text.size() >= width) text.resize(width - 1);
    fmt::print(options_.stream, "\r\x1b[K{}{}", text, last ? "\n" : "");
  } else {
    fmt::print(options_.stream, "{}\n", text);
  }
  std::fflush(options_.stream);
}

std::string Progress::line(double elapsed) const {
  const double rate =
      elapsed > 0 ? static_cast<double>(done_ - std::min(done_, start_done_)) / elapsed : 0;
  std::string text = label_;
  if (total_ > 0) {
    const double share = std::min(1.0, static_cast<double>(done_) / static_cast<double>(total_));
    if (terminal_) {
      constexpr std::size_t kCells = 24;
      const auto full = static_cast<std::size_t>(share * kCells);
      text += fmt::format(" [{}{}]", std::string(full, '#'), std::string(kCells - full, '.'));
    }
    text += fmt::format(" {:3.0f}% {} of {}", std::floor(share * 100),
                        amount_text(done_, options_.unit), amount_text(total_, options_.unit));
  } else {
    text += " " + amount_text(done_, options_.unit);
  }
  text += ", " + rate_text(rate, options_);
  if (total_ > done_ && rate > 0) {
    text += ", " + format_duration(static_cast<double>(total_ - done_) / rate) + " left";
  } else {
    text += ", " + format_duration(elapsed);
  }
  if (!note_.empty()) text += ", " + note_;
  return text;
}

}  // namespace tigerbot
