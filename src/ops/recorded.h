#pragma once

#include <ATen/record_function.h>

#include <array>
#include <cstdint>

namespace tigerbot::ops {

/// Gives the rest of a block a name in profiles (LibTorch's own, `bench_training --profile`), as
/// ATen's operations have one. Where nobody listens it costs a few nanoseconds.
class Recorded {
 public:
  /// `bytes` that the operation has to read and write, where memory is what limits it: a profile
  /// sees them as its only input.
  explicit Recorded(const char* name, std::int64_t bytes = 0)
      : function_(at::RecordScope::FUNCTION) {
    if (!function_.isActive()) return;
    const std::array<const c10::IValue, 1> inputs{c10::IValue(bytes)};
    function_.before(name, c10::ArrayRef<const c10::IValue>(inputs.data(), inputs.size()));
  }

 private:
  at::RecordFunction function_;
};

}  // namespace tigerbot::ops
