#pragma once

#include <sys/resource.h>

#include <cstdio>
#include <cstdlib>
#include <string>

namespace tigerbot::data {

/// Every helper begins with this: its first two arguments are the limits that HelperLimits names.
inline void apply_limits(char** argv) {
  const auto number = [](const char* text) {
    return static_cast<rlim_t>(std::strtoull(text, nullptr, 10));
  };
  const rlim_t seconds = number(argv[1]), bytes = number(argv[2]);
  const rlimit cpu{seconds, seconds + 5}, memory{bytes, bytes}, core{0, 0};
  setrlimit(RLIMIT_CPU, &cpu);
  setrlimit(RLIMIT_AS, &memory);
  setrlimit(RLIMIT_CORE, &core);
}

/// One line on stderr, which becomes the bad input, and out.
[[noreturn]] inline void give_up(const std::string& what) {
  std::fflush(stdout);
  std::fprintf(stderr, "%s\n", what.c_str());
  std::exit(1);
}

}  // namespace tigerbot::data
