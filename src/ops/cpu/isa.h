#pragma once

#include <string_view>

/// Which instruction set the hand-written CPU kernels use, chosen once at run time. The tree itself
/// is compiled for x86-64-v2; code that needs more stands between TIGERBOT_TARGET_BEGIN(...) and
/// TIGERBOT_TARGET_END, and is reached only through a check of best_isa().
namespace tigerbot::cpu {

/// Each level includes those before it.
enum class Isa {
  kScalar,
  kAvx2,        ///< AVX2, FMA, F16C
  kAvx512,      ///< AVX-512 F, BW, CD, DQ, VL
  kAvx512Bf16,  ///< and BF16 (vdpbf16ps)
};

/// The best level that processor and operating system offer, capped by the environment variable
/// TIGERBOT_ISA (scalar, avx2, avx512, avx512bf16) and by any ScopedIsaLimit.
Isa best_isa();

/// Whether the int8 dot products of AVX-512 VNNI may be used: they may be absent at any level.
bool has_avx512_vnni();

/// "scalar", "avx2", "avx512" or "avx512bf16".
std::string_view isa_name(Isa isa);

/// Caps best_isa() in the whole process while it lives: tests compare the kernels of each level.
class ScopedIsaLimit {
 public:
  explicit ScopedIsaLimit(Isa limit);
  ~ScopedIsaLimit();
  ScopedIsaLimit(const ScopedIsaLimit&) = delete;
  ScopedIsaLimit& operator=(const ScopedIsaLimit&) = delete;

 private:
  Isa previous_;
};

}  // namespace tigerbot::cpu

// Everything between BEGIN and END is compiled for these features: lambdas and templates too, which
// a target attribute on a function would not reach. Include all headers before; a template of a
// header that is first instantiated in between could be compiled for features that are not there.
#define TIGERBOT_PRAGMA(text) _Pragma(#text)
#if defined(__clang__)
#define TIGERBOT_TARGET_BEGIN(features) \
  TIGERBOT_PRAGMA(clang attribute push(__attribute__((target(features))), apply_to = function))
#define TIGERBOT_TARGET_END _Pragma("clang attribute pop")
#else
#define TIGERBOT_TARGET_BEGIN(features) \
  _Pragma("GCC push_options") TIGERBOT_PRAGMA(GCC target(features))
#define TIGERBOT_TARGET_END _Pragma("GCC pop_options")
#endif

#if defined(__x86_64__)
#define TIGERBOT_AVX2_FEATURES "avx,avx2,fma,f16c,bmi,bmi2"
#define TIGERBOT_AVX512_FEATURES \
  "avx,avx2,fma,f16c,bmi,bmi2,avx512f,avx512bw,avx512cd,avx512dq,avx512vl"
#define TIGERBOT_AVX512BF16_FEATURES \
  "avx,avx2,fma,f16c,bmi,bmi2,avx512f,avx512bw,avx512cd,avx512dq,avx512vl,avx512bf16"
#define TIGERBOT_AVX512VNNI_FEATURES \
  "avx,avx2,fma,f16c,bmi,bmi2,avx512f,avx512bw,avx512cd,avx512dq,avx512vl,avx512vnni"
#endif
