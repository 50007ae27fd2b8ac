#include <cstdint>

#include "ops/cpu/attention_kernels.h"
#include "ops/cpu/isa.h"

#if defined(__x86_64__)
#include <immintrin.h>

TIGERBOT_TARGET_BEGIN(TIGERBOT_AVX512_FEATURES)
namespace tigerbot::cpu {
namespace {

using Word = std::uint32_t;

#include "ops/cpu/attention_avx512-inl.h"
#include "ops/cpu/attention_product-inl.h"
// After the products.
#include "ops/cpu/attention_forward-inl.h"
// After the forward pass.
#include "ops/cpu/attention_backward-inl.h"

}  // namespace

const AttentionKernels kAttentionAvx512Bf16Storage = make_attention_kernels<Avx512Bf16Storage>();
const AttentionKernels kAttentionAvx512F32 = make_attention_kernels<Avx512F32>();

}  // namespace tigerbot::cpu
TIGERBOT_TARGET_END
#endif
