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
/// Up to this many rows read the weights as one stream, a panel at a time.
inline constexpr std::int64_t kStreamRows = 8;

/// What becomes of the sums of a product, rounded to storage type where it says so.
enum class Finish {
  kStore,   ///< out = rounded(sum + bias)
  kAdd,     ///< out = out + rounded(sum + bias): the residual stream
  kSwiglu,  ///< out = silu(rounded(gate + bias)) * rounded(up + bias): panels are gate and up
};

struct ProductOutput {
  Finish finish = Finish::kStore;
  void* out = nullptr;             ///< of the first row and column
  std::int64_t stride = 0;         ///< between rows, in elements
  std::int64_t columns = 0;        ///< that exist from the first one on
  const float* bias = nullptr;     ///< of the first column on, or null
  const float* up_bias = nullptr;  ///< kSwiglu: of the second panel
};

/// How a product's panels lie in memory: bytes between words of a panel and between panels.
struct PanelLayout {
  std::int64_t word_bytes = 0;
  std::int64_t panel_bytes = 0;
};

struct LinearKernels {
  /// Rows of x times `panels` (<= kGroupPanels; kSwiglu: 2) panels. x rows are `x_stride` words of
  /// 4 bytes apart, and `words` long.
  void (*multiply)(const void* x, std::int64_t x_stride, std::int64_t rows, const void* weight,
                   const PanelLayout& layout, std::int64_t words, std::int64_t panels,
                   const ProductOutput& output);
  /// out = x / sqrt(mean(x^2) + eps) * weight.
  void (*rms_norm)(const void* x, const float* weight, std::int64_t features, float eps, void* out);
  /// Turns the halves of a head in place: (a cos - b sin, b cos + a sin).
  void (*rotate)(void* head, const float* cos, const float* sin, std::int64_t half);
  /// What becomes of sums that were made elsewhere: rows of `totals` are 32 floats, 16 of each of
  /// one panel (kSwiglu: gate and up).
  void (*finish)(const float* totals, std::int64_t rows, const ProductOutput& output);
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
