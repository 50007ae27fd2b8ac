#include "weights/gguf_quantized.h"

#include <ATen/Parallel.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/full.h>

#include <cstring>

#include "base/error.h"

namespace tigerbot {
namespace {

/// Where one block's parts go; groups of the block are `stride` apart.
struct BlockParts {
  std::uint8_t* codes;
  std::uint16_t* scales;        // float16, of types without super-groups
  std::uint16_t* offsets;       // the same, Q4_1 and Q5_1
  std::int8_t* small_scales;    // of K-quants
  std::uint8_t* small_offsets;  // of Q2_K, Q4_K and Q5_K
  std::uint16_t* super_scale;
  std::uint16_t* super_offset;
  std::int64_t stride;
};

using TakeBlock = void (*)(const std::uint8_t* block, const BlockParts& to);

std::uint16_t half_bits(const std::uint8_t* at) {
  std::uint16_t half;
  std::memcpy(&half, at, 2);
  return half;
}

void take_nibbles(const std::uint8_t* q, std::uint8_t* codes) {
  for (int j = 0; j < 16; ++j) {
    codes[j] = q[j] & 15;
    codes[j + 16] = q[j] >> 4;
  }
}

void add_fifth_bits(const std::uint8_t* at, std::uint8_t* codes) {
  std::uint32_t high;
  std::memcpy(&high, at, 4);
  for (int j = 0; j < 32; ++j) {
    codes[j] = static_cast<std::uint8_t>(codes[j] | (high >> j & 1) << 4);
  }
}

void take_q4_0(const std::uint8_t* block, const BlockParts& to) {
  *to.scales = half_bits(block);
  take_nibbles(block + 2, to.codes);
}

void take_q4_1(const std::uint8_t* block, const BlockParts& to) {
  *to.scales = half_bits(block);
  *to.offsets = half_bits(block + 2);
  take_nibbles(block + 4, to.codes);
}

void take_q5_0(const std::uint8_t* block, const BlockParts& to) {
  *to.scales = half_bits(block);
  take_nibbles(block + 6, to.codes);
  add_fifth_bits(block + 2, to.codes);
}

void take_q5_1(const std::uint8_t* block, const BlockParts& to) {
  *to.scales = half_bits(block);
  *to.offsets = half_bits(block + 2);
  take_nibbles(block + 8, to.codes);
  add_fifth_bits(block + 4, to.codes);
}

void take_q8_0(const std::uint8_t* block, const BlockParts& to) {
  *to.scales = half_bits(block);
  for (int j = 0; j < 32; ++j) to.codes[j] = block[2 + j] ^ 128;  // signed, counted from -128
}

void take_q2_k(const std::uint8_t* block, const BlockParts& to) {
  *to.super_scale = half_bits(block + 80);
  *to.super_offset = half_bits(block + 82);
  for (int group = 0; group < 16; ++group) {
    to.small_scales[group * to.stride] = static_cast<std::int8_t>(block[group] & 15);
    to.small_offsets[group * to.stride] = block[group] >> 4;
    const std::uint8_t* q = block + 16 + group / 8 * 32 + group % 2 * 16;
    const int shift = group % 8 / 2 * 2;
    for (int j = 0; j < 16; ++j) to.codes[16 * group + j] = q[j] >> shift & 3;
  }
}

void take_q3_k(const std::uint8_t* block, const BlockParts& to) {
  *to.super_scale = half_bits(block + 108);
  const std::uint8_t* packed = block + 96;
  for (int group = 0; group < 16; ++group) {
    const int low = group < 8 ? packed[group] & 15 : packed[group - 8] >> 4;
    const int high = packed[8 + group % 4] >> (group / 4 * 2) & 3;
    to.small_scales[group * to.stride] = static_cast<std::int8_t>((low | high << 4) - 32);
    const std::uint8_t* q = block + 32 + group / 8 * 32 + group % 2 * 16;
    const std::uint8_t* third = block + group % 2 * 16;
    const int shift = group % 8 / 2 * 2;
    for (int j = 0; j < 16; ++j) {
      to.codes[16 * group + j] =
          static_cast<std::uint8_t>((q[j] >> shift & 3) | (third[j] >> (group / 2) & 1) << 2);
    }
  }
}

/// Eight 6-bit scales and minimums in 12 bytes.
void take_scales_and_minimums(const std::uint8_t* packed, const BlockParts& to) {
  for (int group = 0; group < 8; ++group) {
    int scale = packed[group] & 63, minimum = packed[group + 4] & 63;
    if (group >= 4) {
      scale = (packed[group + 4] & 15) | packed[group - 4] >> 6 << 4;
      minimum = packed[group + 4] >> 4 | packed[group] >> 6 << 4;
    }
    to.small_scales[group * to.stride] = static_cast<std::int8_t>(scale);
    to.small_offsets[group * to.stride] = static_cast<std::uint8_t>(minimum);
  }
}

void take_q4_k(const std::uint8_t* block, const BlockParts& to) {
  *to.super_scale = half_bits(block);
  *to.super_offset = half_bits(block + 2);
  take_scales_and_minimums(block + 4, to);
  for (int group = 0; group < 8; ++group) {
    const std::uint8_t* q = block + 16 + group / 2 * 32;
    for (int j = 0; j < 32; ++j) to.codes[32 * group + j] = q[j] >> (group % 2 * 4) & 15;
  }
}

void take_q5_k(const std::uint8_t* block, const BlockParts& to) {
  *to.super_scale = half_bits(block);
  *to.super_offset = half_bits(block + 2);
  take_scales_and_minimums(block + 4, to);
  for (int group = 0; group < 8; ++group) {
    const std::uint8_t* q = block + 48 + group / 2 * 32;
    for (int j = 0; j < 32; ++j) {
      to.codes[32 * group + j] = static_cast<std::uint8_t>((q[j] >> (group % 2 * 4) & 15) |
                                                           (block[16 + j] >> group & 1) << 4);
    }
  }
}

void take_q6_k(const std::uint8_t* block, const BlockParts& to) {
  *to.super_scale = half_bits(block + 208);
  for (int group = 0; group < 16; ++group) {
    to.small_scales[group * to.stride] = static_cast<std::int8_t>(block[192 + group]);
    const int part = group / 8, quarter = group % 8 / 2, half = group % 2 * 16;
    const std::uint8_t* low = block + part * 64 + quarter % 2 * 32 + half;
    const std::uint8_t* high = block + 128 + part * 32 + half;
    for (int j = 0; j < 16; ++j) {
      to.codes[16 * group + j] = static_cast<std::uint8_t>((low[j] >> (quarter / 2 * 4) & 15) |
                                                           (high[j] >> (quarter * 2) & 3) << 4);
    }
  }
}

struct Layout {
  GgmlType type;
  int bits;
  std::int64_t group;   // features that share a scale
  bool offsets, super;  // what its parts have
  TakeBlock take;
};

constexpr Layout kLayouts[] = {
    {GgmlType::kQ4_0, 4, 32, false, false, take_q4_0},
    {GgmlType::kQ4_1, 4, 32, true, false, take_q4_1},
    {GgmlType::kQ5_0, 5, 32, false, false, take_q5_0},
    {GgmlType::kQ5_1, 5, 32, true, false, take_q5_1},
    {GgmlType::kQ8_0, 8, 32, false, false, take_q8_0},
    {GgmlType::kQ2_K, 2, 16, true, true, take_q2_k},
    {GgmlType::kQ3_K, 3, 16, false, true, take_q3_k},
    {GgmlType::kQ4_K, 4, 32, true, true, take_q4_k},
    {GgmlType::kQ5_K, 5, 32, true, true, take_q5_k},
    {GgmlType::kQ6_K, 6, 16, false, true, take_q6_k},
};

const Layout* find_layout(GgmlType type) {
  for (const Layout& layout : kLayouts) {
    if (layout.type == type) return &layout;
  }
  return nullptr;
}

/// Element [row][column], or null where there is no tensor.
template <class T>
T* element(const at::Tensor& tensor, std::int64_t row, std::int64_t column) {
  if (!tensor.defined()) return nullptr;
  return static_cast<T*>(tensor.data_ptr()) + row * tensor.size(1) + column;
}

}  // namespace

bool has_ggml_parts(GgmlType type) { return find_layout(type) != nullptr; }

ops::QuantizedParts ggml_parts(GgmlType type, const std::byte* blocks, std::int64_t out,
                               std::int64_t in,
                               const std::function<std::int64_t(std::int64_t)>& row_at) {
  const Layout* layout = find_layout(type);
  const GgmlTypeInfo& info = ggml_type_info(type);
  if (layout == nullptr || in % info.block_elements != 0) {
    fail_internal("{} with rows of {}: no quantized weight", info.name, in);
  }
  const std::int64_t groups = in / layout->group;
  const std::int64_t row_blocks = in / info.block_elements;
  const std::int64_t block_groups = info.block_elements / layout->group;
  ops::QuantizedParts parts;
  parts.bits = layout->bits;
  parts.codes = at::empty({out, in}, at::kByte);
  parts.scales = at::empty({groups, out}, layout->super ? at::kChar : at::kHalf);
  parts.group_of = at::arange(in, at::kLong).floor_divide(layout->group).to(at::kInt);
  if (layout->offsets) {
    parts.offsets = at::empty({groups, out}, layout->super ? at::kByte : at::kHalf);
  } else {
    parts.zeros = at::full({groups, out}, 1 << (layout->bits - 1), at::kShort);
  }
  if (layout->super) {
    parts.groups_per_super = block_groups;
    parts.super_scales = at::empty({row_blocks, out}, at::kHalf);
    if (layout->offsets) parts.super_offsets = at::empty({row_blocks, out}, at::kHalf);
  }
  const auto* bytes = reinterpret_cast<const std::uint8_t*>(blocks);
  at::parallel_for(0, out, 16, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t o = begin; o < end; ++o) {
      const std::uint8_t* block = bytes + row_at(o) * row_blocks * info.block_bytes;
      for (std::int64_t b = 0; b < row_blocks; ++b, block += info.block_bytes) {
        const std::int64_t group = b * block_groups;
        BlockParts to{};
        to.codes = element<std::uint8_t>(parts.codes, o, b * info.block_elements);
        to.stride = out;
        if (layout->super) {
          to.small_scales = element<std::int8_t>(parts.scales, group, o);
          to.small_offsets = element<std::uint8_t>(parts.offsets, group, o);
          to.super_scale = element<std::uint16_t>(parts.super_scales, b, o);
          to.super_offset = element<std::uint16_t>(parts.super_offsets, b, o);
        } else {
          to.scales = element<std::uint16_t>(parts.scales, group, o);
          to.offsets = element<std::uint16_t>(parts.offsets, group, o);
        }
        layout->take(block, to);
      }
    }
  });
  return parts;
}

}  // namespace tigerbot
