#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace tigerbot::workflow {

struct ChildOptions {
  std::vector<std::string> arguments;  ///< the program first
  std::filesystem::path output;        ///< takes what the child prints on stdout
  /// Each line that the child prints on stderr; of a bar that is redrawn, its last state.
  std::function<void(std::string_view line)> on_line;
  /// Called every second or so while the child runs; an exception ends the child and goes on up.
  std::function<void()> on_tick;
};

struct ChildResult {
  int status = 0;        ///< the exit status, or 128 and the signal that ended it
  bool stopped = false;  ///< this program was asked to stop meanwhile (SIGINT, SIGTERM, SIGHUP)
  std::string stop_signal;
  double seconds = 0;             ///< by the clock
  double processor_seconds = 0;   ///< of the child and its children
  std::uint64_t peak_memory = 0;  ///< bytes, of the largest process among them
  std::string last_line;          ///< of stderr: what went wrong, if something did
};

/// Runs a program to its end. Where our stderr is a terminal the child's is one too, so that its
/// bars move. A signal that asks us to stop reaches the child, which may finish what it must; if we
/// are killed, so is the child.
ChildResult run_child(const ChildOptions& options);

/// Path of this very program.
std::filesystem::path own_program();

}  // namespace tigerbot::workflow
