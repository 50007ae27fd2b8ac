#include <cstdint>

#include "ops/cpu/attention_kernels.h"

namespace tigerbot::cpu {
namespace {

using Word = std::uint32_t;

/// Plain C++ with the vector kernels' shape: what the compiler makes of four lanes.
struct Scalar {
  struct V {
    float lane[4];
  };
  static constexpr int kWidth = 4;
  static constexpr int kRows = 6;
  static constexpr int kColumns = 2;
  static constexpr int kPair = 1;

  template <class Function>
  static V each(Function function) {
    V x;
    for (int i = 0; i < kWidth; ++i) x.lane[i] = function(i);
    return x;
  }

  static V load(const float* p) {
    V x;
    __builtin_memcpy(&x, p, sizeof x);
    return x;
  }
  static void store(float* p, V x) { __builtin_memcpy(p, &x, sizeof x); }
  static V zero() { return V{}; }
  static V set1(float x) { return {x, x, x, x}; }
  static V add(V a, V b) {
    return each([&](int i) { return a.lane[i] + b.lane[i]; });
  }
  static V sub(V a, V b) {
    return each([&](int i) { return a.lane[i] - b.lane[i]; });
  }
  static V mul(V a, V b) {
    return each([&](int i) { return a.lane[i] * b.lane[i]; });
  }
  static V fma(V a, V b, V c) {
    return each([&](int i) { return a.lane[i] * b.lane[i] + c.lane[i]; });
  }
  static V max(V a, V b) {
    return each([&](int i) { return a.lane[i] > b.lane[i] ? a.lane[i] : b.lane[i]; });
  }
  static V round(V x) {
    return each([&](int i) { return __builtin_nearbyintf(x.lane[i]); });
  }
  static V scale_by_power(V x, V power) {
    return each([&](int i) {
      const float e = power.lane[i] < 300 ? power.lane[i] : 300.0f;
      return __builtin_ldexpf(x.lane[i], static_cast<int>(e));
    });
  }
  static bool any_greater(V a, V b) {
    bool any = false;
    for (int i = 0; i < kWidth; ++i) any = any || a.lane[i] > b.lane[i];
    return any;
  }
  static float reduce_max(V x) {
    float top = x.lane[0];
    for (int i = 1; i < kWidth; ++i) top = x.lane[i] > top ? x.lane[i] : top;
    return top;
  }
  static float reduce_add(V x) { return (x.lane[0] + x.lane[2]) + (x.lane[1] + x.lane[3]); }
  static V lane_numbers() { return {0, 1, 2, 3}; }
  static V keep_range(V x, int first, int last, float otherwise) {
    return each([&](int i) { return i >= first && i < last ? x.lane[i] : otherwise; });
  }

  static V load_words(const Word* p) {
    V x;
    __builtin_memcpy(&x, p, sizeof x);
    return x;
  }
  static V broadcast_word(const Word* p) {
    float x;
    __builtin_memcpy(&x, p, sizeof x);
    return set1(x);
  }
  static void store_words(Word* p, V x) { __builtin_memcpy(p, &x, sizeof x); }
  static void store_some_words(Word* p, V x, int n) {
    __builtin_memcpy(p, &x, sizeof(float) * static_cast<std::size_t>(n));
  }
  static void store_operand(Word* row, int lane, V x) { store_words(row + lane, x); }
  static V load_source_words(const std::int8_t* p, int n) {
    return each([&](int i) { return i < n ? static_cast<float>(p[i]) : 0.0f; });
  }
  /// The first n of whole numbers up to 127.
  static void store_integers(std::int8_t* p, V x, int n) {
    for (int i = 0; i < kWidth && i < n; ++i) p[i] = static_cast<std::int8_t>(x.lane[i]);
  }
  static V dot(V sum, V a, V b) { return fma(a, b, sum); }
  static void transpose(V (&rows)[4]) {
    for (int i = 0; i < kWidth; ++i) {
      for (int j = 0; j < i; ++j) {
        const float x = rows[i].lane[j];
        rows[i].lane[j] = rows[j].lane[i];
        rows[j].lane[i] = x;
      }
    }
  }
};

struct ScalarF32 : Scalar {
  using Source = float;
  using Scalar::load_source_words;
  static V load_source(const float* p, int n) {
    return each([&](int i) { return i < n ? p[i] : 0.0f; });
  }
  static V load_source_words(const float* p, int n) { return load_source(p, n); }
  static void store_source(float* p, V x, int n) {
    for (int i = 0; i < kWidth && i < n; ++i) p[i] = x.lane[i];
  }
};

struct ScalarBf16Storage : Scalar {
  using Source = std::uint16_t;
  using Scalar::load_source_words;
  static float widen(std::uint16_t x) {
    const std::uint32_t bits = static_cast<std::uint32_t>(x) << 16;
    float value;
    __builtin_memcpy(&value, &bits, sizeof value);
    return value;
  }
  static std::uint16_t narrow(float x) {
    if (x != x) return 0x7fc0;
    std::uint32_t bits;
    __builtin_memcpy(&bits, &x, sizeof bits);
    return static_cast<std::uint16_t>((bits + 0x7fff + ((bits >> 16) & 1)) >> 16);
  }
  static V load_source(const std::uint16_t* p, int n) {
    return each([&](int i) { return i < n ? widen(p[i]) : 0.0f; });
  }
  static V load_source_words(const std::uint16_t* p, int n) { return load_source(p, n); }
  static void store_source(std::uint16_t* p, V x, int n) {
    for (int i = 0; i < kWidth && i < n; ++i) p[i] = narrow(x.lane[i]);
  }
};

#include "ops/cpu/attention_product-inl.h"
// After the products.
#include "ops/cpu/attention_forward-inl.h"
// After the forward pass.
#include "ops/cpu/attention_backward-inl.h"

}  // namespace

const AttentionKernels kAttentionScalarBf16 = make_attention_kernels<ScalarBf16Storage>();
const AttentionKernels kAttentionScalarF32 = make_attention_kernels<ScalarF32>();

}  // namespace tigerbot::cpu
