#include "ops/cpu/isa.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdlib>

#include "base/error.h"

namespace tigerbot::cpu {
namespace {

constexpr std::array<std::string_view, 4> kNames = {"scalar", "avx2", "avx512", "avx512bf16"};

Isa detect() {
#if defined(__x86_64__)
  __builtin_cpu_init();
  const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  if (!avx2) return Isa::kScalar;
  const bool avx512 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                      __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512dq") &&
                      __builtin_cpu_supports("avx512vl");
  if (!avx512) return Isa::kAvx2;
  return __builtin_cpu_supports("avx512bf16") ? Isa::kAvx512Bf16 : Isa::kAvx512;
#else
  return Isa::kScalar;
#endif
}

Isa environment_cap() {
  const char* value = std::getenv("TIGERBOT_ISA");
  if (value == nullptr || *value == '\0') return Isa::kAvx512Bf16;
  const auto* found = std::find(kNames.begin(), kNames.end(), std::string_view(value));
  if (found == kNames.end()) {
    fail("TIGERBOT_ISA={}: unknown instruction set; use scalar, avx2, avx512 or avx512bf16", value);
  }
  return static_cast<Isa>(found - kNames.begin());
}

std::atomic<Isa> limit{Isa::kAvx512Bf16};

}  // namespace

Isa best_isa() {
  static const Isa offered = std::min(detect(), environment_cap());
  return std::min(offered, limit.load(std::memory_order_relaxed));
}

bool has_avx512_vnni() {
#if defined(__x86_64__)
  static const bool offered = __builtin_cpu_supports("avx512vnni") != 0;
  return offered && best_isa() >= Isa::kAvx512;
#else
  return false;
#endif
}

std::string_view isa_name(Isa isa) { return kNames[static_cast<std::size_t>(isa)]; }

ScopedIsaLimit::ScopedIsaLimit(Isa limit_now) : previous_(limit.exchange(limit_now)) {}

ScopedIsaLimit::~ScopedIsaLimit() { limit.store(previous_); }

}  // namespace tigerbot::cpu
