#include "ops/cpu/linear_kernels.h"

#include "ops/cpu/isa.h"

namespace tigerbot::cpu {

const LinearKernels& linear_kernels(bool bfloat16) {
#if defined(__x86_64__)
  switch (best_isa()) {
    case Isa::kAvx512Bf16:
      return bfloat16 ? kLinearAvx512DotBf16 : kLinearAvx512F32;
    case Isa::kAvx512:
      return bfloat16 ? kLinearAvx512Bf16Storage : kLinearAvx512F32;
    case Isa::kAvx2:
      return bfloat16 ? kLinearAvx2Bf16 : kLinearAvx2F32;
    case Isa::kScalar:
      break;
  }
#endif
  return bfloat16 ? kLinearScalarBf16 : kLinearScalarF32;
}

}  // namespace tigerbot::cpu
