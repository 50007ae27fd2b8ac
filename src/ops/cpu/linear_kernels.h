#pragma once

#include <cstdint>

/// The inner loops of dense products with packed weights (ops/linear.h), one table of them for each
/// instruction set. Every output is one sum over the words of its row in order, so its bits depend
/// on nothing but its row, its weights and the instruction set.
namespace tigerbot::cpu {

/// Output features of a panel: the lanes of the widest vector.
inline constexpr std::int64_t kPanelColumns = 16;
/// Panels that a block of rows is multiplied with at once.
inline constexpr std::int64_t kGroupPanels = 3;
/// Rows of a block: what `multiply` takes at most.
inline constexpr std::int64_t kBlockRows = 24;
/// Up to this many rows read the weights as one stream, a panel at a time.
inline constexpr std::int64_t kStreamRows = 8;

struct LinearKernels {
  /// sums[r * stride + c] = row r of x times column c of `panels` consecutive panels.
  /// rows <= kBlockRows, panels <= kGroupPanels; x rows are `x_stride` words of 4 bytes apart, as
  /// long as `words`.
  void (*multiply)(const void* x, std::int64_t x_stride, std::int64_t rows, const void* weight,
                   std::int64_t words, std::int64_t panels, float* sums, std::int64_t stride);
  /// out[c] = sums[c] + bias[c] in storage type; bias (float32) may be null.
  void (*store)(const float* sums, const float* bias, std::int64_t columns, void* out);
  /// out[c] = out[c] + stored(sums[c] + bias[c]): the sum with the residual stream.
  void (*store_sum)(const float* sums, const float* bias, std::int64_t columns, void* out);
  /// out[c] = silu(stored(gate[c])) * stored(up[c]).
  void (*store_swiglu)(const float* gate, const float* up, std::int64_t columns, void* out);
  /// out = x / sqrt(mean(x^2) + eps) * weight.
  void (*rms_norm)(const void* x, const float* weight, std::int64_t features, float eps, void* out);
  /// Turns the halves of a head in place: (a cos - b sin, b cos + a sin).
  void (*rotate)(void* head, const float* cos, const float* sin, std::int64_t half);
};

/// The best kernels that this machine (and any limit on it) allows, for bfloat16 or float32.
const LinearKernels& linear_kernels(bool bfloat16);

extern const LinearKernels kLinearScalarBf16;
extern const LinearKernels kLinearScalarF32;
#if defined(__x86_64__)
extern const LinearKernels kLinearAvx2Bf16;
extern const LinearKernels kLinearAvx2F32;
extern const LinearKernels kLinearAvx512Bf16Storage;
extern const LinearKernels kLinearAvx512F32;
extern const LinearKernels kLinearAvx512DotBf16;
#endif

}  // namespace tigerbot::cpu
