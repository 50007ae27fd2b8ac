#include "ops/cpu/quantized_kernels.h"

#include "ops/cpu/isa.h"

namespace tigerbot::cpu {

const QuantizedKernels& quantized_kernels() {
#if defined(__x86_64__)
  if (has_avx512_vnni()) return kQuantizedAvx512Vnni;
  if (best_isa() >= Isa::kAvx2) return kQuantizedAvx2;
#endif
  return kQuantizedScalar;
}

}  // namespace tigerbot::cpu
