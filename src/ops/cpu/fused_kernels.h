#pragma once

#include <cstdint>

/// The inner loops of the memory-bound operations, one table of them for each instruction set and
/// storage type. Storage is bfloat16 or float32; every sum is float32. Pointers are to contiguous
/// rows; the callers in ops/ decide which rows run on which thread. A row's bits depend on the row
/// alone.
namespace tigerbot::cpu {

/// y = (x - mean) * scale * weight + bias, with x + residual in place of x where there is one.
/// Without a bias nothing is centered: that is RMSNorm.
struct NormForward {
  std::int64_t rows = 0;
  std::int64_t features = 0;
  const void* x = nullptr;
  const void* residual = nullptr;  ///< or null
  const float* weight = nullptr;
  const float* bias = nullptr;  ///< null for RMSNorm
  float eps = 0;
  void* y = nullptr;
  void* sum = nullptr;     ///< x + residual, where there is a residual
  float* mean = nullptr;   ///< [rows]; null for RMSNorm
  float* scale = nullptr;  ///< [rows]: 1 / sqrt(variance + eps)
};

struct NormBackward {
  std::int64_t rows = 0;
  std::int64_t features = 0;
  const void* x = nullptr;  ///< what was normalized: the sum, where there was a residual
  const float* weight = nullptr;
  const float* mean = nullptr;  ///< null for RMSNorm
  const float* scale = nullptr;
  const void* dy = nullptr;
  const void* dsum = nullptr;  ///< gradient that reaches x past the norm, or null
  void* dx = nullptr;
  float* dweight = nullptr;  ///< [features], added to
  float* dbias = nullptr;    ///< [features], added to; null for RMSNorm
};

/// Rotates tokens of [heads, head_dim]; the last dimension is contiguous, x's others have strides.
struct Rotation {
  std::int64_t tokens = 0;
  std::int64_t heads = 0;
  std::int64_t head_dim = 0;
  std::int64_t half = 0;  ///< angles of a head
  const void* x = nullptr;
  std::int64_t token_stride = 0;
  std::int64_t head_stride = 0;
  const float* cos = nullptr;  ///< [tokens, half]
  const float* sin = nullptr;
  bool backward = false;  ///< turn the other way
  bool adjacent = false;  ///< RopeLayout::kAdjacentPair
  void* y = nullptr;      ///< [tokens, heads, head_dim]
};

struct CrossEntropyRow {
  std::int64_t pieces = 0;
  void* logits = nullptr;  ///< [pieces]; becomes the gradient where that is asked for
  std::int64_t label = 0;
  bool gradient = false;
  float factor = 1;  ///< multiplies the gradient
};

struct CrossEntropyLoss {
  float loss = 0;  ///< negative log-likelihood of the label
  bool correct = false;
};

/// One step of AdamW (Loshchilov & Hutter 2019) on n weights:
///   w *= decay; m += (1 - beta1) (g - m); v = beta2 v + (1 - beta2) g^2; w -= rate m / (sqrt(v)
///   root + eps)
/// with g = gradient * gradient_scale. bfloat16 weights have the lower halves of their float32
/// masters beside them: master bits = (weight << 16) + low, low taken as signed.
struct AdamWTask {
  std::int64_t n = 0;
  void* weight = nullptr;
  std::int16_t* low = nullptr;  ///< null for float32 weights
  float* first_moment = nullptr;
  float* second_moment = nullptr;
  const void* gradient = nullptr;
  bool float_gradient = false;  ///< float32; else of the weight's type
  float gradient_scale = 1;
  float decay = 1;  ///< 1 - learning rate * weight decay
  float beta1 = 0;
  float beta2 = 0;
  float rate = 0;  ///< learning rate / (1 - beta1^t)
  float root = 1;  ///< 1 / sqrt(1 - beta2^t)
  float eps = 0;
};

struct FusedKernels {
  void (*norm_forward)(const NormForward& task);
  void (*norm_backward)(const NormBackward& task);
  void (*rotate)(const Rotation& task);
  void (*swiglu)(std::int64_t n, const void* gate, const void* up, void* y);
  void (*swiglu_backward)(std::int64_t n, const void* gate, const void* up, const void* dy,
                          void* dgate, void* dup);
  void (*gelu_exact)(std::int64_t n, const void* x, void* y);
  void (*gelu_exact_backward)(std::int64_t n, const void* x, const void* dy, void* dx);
  void (*gelu_tanh)(std::int64_t n, const void* x, void* y);
  void (*gelu_tanh_backward)(std::int64_t n, const void* x, const void* dy, void* dx);
  CrossEntropyLoss (*cross_entropy_row)(const CrossEntropyRow& task);
  /// bfloat16 sums with 8 more bits beside them; see softmax-inl.h.
  void (*add_split)(std::int64_t n, const std::uint16_t* part, std::uint16_t* high,
                    std::uint8_t* low, bool last);
  void (*adamw)(const AdamWTask& task);
  /// sum += x.
  void (*accumulate)(std::int64_t n, const void* x, float* sum);
  /// The sum of x^2, in float64 over float32 sums of a few thousand.
  double (*sum_of_squares)(std::int64_t n, const void* x);
};

/// The best kernels that this machine (and any limit on it) allows, for bfloat16 or float32
/// storage.
const FusedKernels& fused_kernels(bool bfloat16);

/// One instruction set's two tables.
struct FusedKernelTables {
  FusedKernels bfloat16;
  FusedKernels float32;
};

extern const FusedKernelTables kFusedScalar;
#if defined(__x86_64__)
extern const FusedKernelTables kFusedAvx2;
extern const FusedKernelTables kFusedAvx512;
extern const FusedKernelTables kFusedAvx512Bf16;
#endif

}  // namespace tigerbot::cpu
