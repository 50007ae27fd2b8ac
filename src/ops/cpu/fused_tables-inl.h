// Included within a target region of each instruction set's source, where S is its vector type; no
// headers in here.

#include "ops/cpu/vectors-inl.h"
//
#include "ops/cpu/activation-inl.h"
#include "ops/cpu/norm-inl.h"
#include "ops/cpu/optimizer-inl.h"
#include "ops/cpu/rotation-inl.h"
#include "ops/cpu/softmax-inl.h"

template <typename T>
constexpr FusedKernels kernels_of() {
  return {norm_forward<T>,
          norm_backward<T>,
          rotate<T>,
          swiglu<T>,
          swiglu_backward<T>,
          gelu<ExactGelu, T>,
          gelu_backward<ExactGelu, T>,
          gelu<TanhGelu, T>,
          gelu_backward<TanhGelu, T>,
          cross_entropy_row<T>,
          add_split,
          adamw<T>,
          accumulate<T>,
          sum_of_squares<T>};
}

constexpr FusedKernelTables kTables = {kernels_of<Bf16>(), kernels_of<float>()};
