#include "workflow/child_process.h"

#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "base/error.h"
#include "base/text.h"

namespace tigerbot::workflow {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

volatile sig_atomic_t pending_signal = 0;
volatile sig_atomic_t must_forward = 0;

/// A Ctrl-C at the terminal reaches the child by itself; what another process sends does not.
void remember(int signal, siginfo_t* info, void*) {
  pending_signal = signal;
  if (info == nullptr || info->si_code <= 0) must_forward = signal;
}

/// Catches the signals that ask to stop, for as long as it lives.
class StopWatch {
 public:
  StopWatch() {
    pending_signal = 0;
    must_forward = 0;
    struct sigaction action {};
    action.sa_sigaction = remember;
    action.sa_flags = SA_SIGINFO;
    for (std::size_t k = 0; k < kSignals.size(); ++k) {
      sigaction(kSignals[k], &action, &before_[k]);
    }
  }
  ~StopWatch() {
    for (std::size_t k = 0; k < kSignals.size(); ++k) {
      sigaction(kSignals[k], &before_[k], nullptr);
    }
  }
  StopWatch(const StopWatch&) = delete;
  StopWatch& operator=(const StopWatch&) = delete;

 private:
  static constexpr std::array<int, 3> kSignals{SIGINT, SIGTERM, SIGHUP};
  std::array<struct sigaction, 3> before_{};
};

/// Reading and writing end of the child's stderr: a terminal if ours is one, else a pipe.
std::array<int, 2> make_channel() {
  std::array<int, 2> ends{-1, -1};
  if (::isatty(STDERR_FILENO) == 1) {
    winsize size{};
    ::ioctl(STDERR_FILENO, TIOCGWINSZ, &size);
    if (::openpty(&ends[0], &ends[1], nullptr, nullptr, &size) == 0) {
      // Our own terminal does what this one would: "\n" to "\r\n".
      termios modes{};
      ::tcgetattr(ends[1], &modes);
      modes.c_oflag &= ~static_cast<tcflag_t>(OPOST);
      ::tcsetattr(ends[1], TCSANOW, &modes);
      ::fcntl(ends[0], F_SETFD, FD_CLOEXEC);
      ::fcntl(ends[1], F_SETFD, FD_CLOEXEC);
      return ends;
    }
  }
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) {
    fail_internal("a pipe cannot be made: {}", std::strerror(errno));
  }
  return ends;
}

/// What is left of a line on a terminal: the text after the last "\r", without control sequences.
std::string visible(std::string_view line) {
  while (!line.empty() && line.back() == '\r') line.remove_suffix(1);
  if (const std::size_t redrawn = line.rfind('\r'); redrawn != std::string_view::npos) {
    line.remove_prefix(redrawn + 1);
  }
  std::string out;
  for (std::size_t at = 0; at < line.size(); ++at) {
    if (line[at] == '\x1b' && at + 1 < line.size() && line[at + 1] == '[') {
      at += 2;
      while (at < line.size() && (line[at] < '@' || line[at] > '~')) ++at;
    } else {
      out += line[at];
    }
  }
  return out;
}

/// Cuts what the child writes into lines.
class Lines {
 public:
  Lines(const std::function<void(std::string_view)>& on_line, std::string& last)
      : on_line_(on_line), last_(last) {}

  void add(std::string_view bytes) {
    rest_ += bytes;
    std::size_t begin = 0;
    for (std::size_t end = rest_.find('\n'); end != std::string::npos;
         end = rest_.find('\n', begin)) {
      give(std::string_view(rest_).substr(begin, end - begin));
      begin = end + 1;
    }
    rest_.erase(0, begin);
    // A bar that is redrawn for hours is one line; only its last state counts.
    if (const std::size_t redrawn = rest_.rfind('\r');
        redrawn != std::string::npos && redrawn > 0) {
      rest_.erase(0, redrawn);
    }
  }
  void finish() {
    if (!rest_.empty()) give(rest_);
    rest_.clear();
  }

 private:
  void give(std::string_view line) {
    const std::string text = visible(line);
    if (trim(text).empty()) return;
    last_ = text;
    if (on_line_) on_line_(text);
  }

  const std::function<void(std::string_view)>& on_line_;
  std::string& last_;
  std::string rest_;
};

[[noreturn]] void become(const std::vector<std::string>& arguments, int out, int err,
                         pid_t parent) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != parent) _exit(127);
  const int null = ::open("/dev/null", O_RDONLY);
  if (null < 0 || ::dup2(null, 0) < 0 || ::dup2(out, 1) < 0 || ::dup2(err, 2) < 0) _exit(127);
  std::vector<char*> pointers;
  for (const std::string& argument : arguments) {
    pointers.push_back(const_cast<char*>(argument.c_str()));
  }
  pointers.push_back(nullptr);
  ::execvp(pointers[0], pointers.data());
  const std::string message =
      fmt::format("tigerbot: {}: cannot be started: {}\n", arguments[0], std::strerror(errno));
  [[maybe_unused]] const auto written = ::write(2, message.data(), message.size());
  _exit(127);
}

void show(std::string_view bytes) {
  std::fwrite(bytes.data(), 1, bytes.size(), stderr);
  std::fflush(stderr);
}

double seconds_of(const timeval& time) {
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) * 1e-6;
}

}  // namespace

ChildResult run_child(const ChildOptions& options) {
  const int out = ::open(options.output.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
  if (out < 0) {
    fail("{}: cannot be written: {}", options.output.string(), std::strerror(errno));
  }
  const std::array<int, 2> channel = make_channel();
  ChildResult result;
  Lines lines(options.on_line, result.last_line);
  const StopWatch watch;
  const auto start = Clock::now();
  const pid_t parent = ::getpid();
  const pid_t child = ::fork();
  if (child == 0) become(options.arguments, out, channel[1], parent);
  ::close(out);
  ::close(channel[1]);
  if (child < 0) {
    ::close(channel[0]);
    fail_internal("a process cannot be started: {}", std::strerror(errno));
  }

  rusage usage{};
  int status = 0;
  bool ended = false;
  auto ticked = start;
  std::array<char, 65536> piece{};
  const auto drain = [&](int timeout) {
    pollfd waiting{channel[0], POLLIN, 0};
    if (::poll(&waiting, 1, timeout) <= 0) return false;
    const ssize_t got = ::read(channel[0], piece.data(), piece.size());
    if (got <= 0) return false;
    show({piece.data(), static_cast<std::size_t>(got)});
    lines.add({piece.data(), static_cast<std::size_t>(got)});
    return true;
  };
  try {
    while (!ended) {
      const bool came = drain(100);
      if (must_forward != 0) {
        ::kill(child, must_forward);
        must_forward = 0;
      }
      const pid_t done = ::wait4(child, &status, WNOHANG, &usage);
      ended = done == child;
      // A channel whose other end is closed is ready at once, for ever.
      if (!ended && !came) {
        pollfd waiting{channel[0], 0, 0};
        if (::poll(&waiting, 1, 0) > 0) ::usleep(50'000);
      }
      if (!ended && options.on_tick && seconds_since(ticked) > 1) {
        ticked = Clock::now();
        options.on_tick();
      }
    }
    while (drain(0)) {
    }
  } catch (...) {
    ::kill(child, SIGKILL);
    while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
    }
    ::close(channel[0]);
    throw;
  }
  ::close(channel[0]);
  lines.finish();
  result.seconds = seconds_since(start);
  result.processor_seconds = seconds_of(usage.ru_utime) + seconds_of(usage.ru_stime);
  result.peak_memory = static_cast<std::uint64_t>(usage.ru_maxrss) << 10;
  result.status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  result.stopped = pending_signal != 0;
  if (result.stopped) {
    result.stop_signal = pending_signal == SIGINT    ? "SIGINT"
                         : pending_signal == SIGTERM ? "SIGTERM"
                                                     : "SIGHUP";
  }
  return result;
}

std::filesystem::path own_program() { return std::filesystem::read_symlink("/proc/self/exe"); }

}  // namespace tigerbot::workflow
