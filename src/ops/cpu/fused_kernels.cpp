#include "ops/cpu/fused_kernels.h"

#include "ops/cpu/isa.h"

namespace tigerbot::cpu {
namespace {

const FusedKernelTables& tables() {
#if defined(__x86_64__)
  switch (best_isa()) {
    case Isa::kAvx512Bf16:
      return kFusedAvx512Bf16;
    case Isa::kAvx512:
      return kFusedAvx512;
    case Isa::kAvx2:
      return kFusedAvx2;
    case Isa::kScalar:
      break;
  }
#endif
  return kFusedScalar;
}

}  // namespace

const FusedKernels& fused_kernels(bool bfloat16) {
  return bfloat16 ? tables().bfloat16 : tables().float32;
}

}  // namespace tigerbot::cpu
