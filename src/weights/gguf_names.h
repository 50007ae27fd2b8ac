#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "model/config.h"

namespace tigerbot {

/// How GGUF orders the rows of a tensor, compared with Hugging Face.
enum class RowOrder {
  kSame,
  /// Queries and keys of the architecture "llama": rotary embedding turns adjacent rows of a head
  /// (2j, 2j + 1) in GGUF, and rows of its two halves (j, j + head_dim / 2) in Hugging Face.
  kRotaryPairs,
  /// BLOOM's fused projection: [3, heads, head_dim] in GGUF, [heads, 3, head_dim] in Hugging Face.
  kFusedByHead,
};

struct MappedName {
  std::string name;
  RowOrder order = RowOrder::kSame;
  std::int64_t heads = 1;  ///< of the rows, for the orders that need it
};

/// The Hugging Face name of a GGUF tensor ("blk.0.attn_q.weight"); nothing if this kind of model
/// has no such tensor.
std::optional<MappedName> to_hugging_face_name(std::string_view gguf_name,
                                               const ModelConfig& config);

/// The GGUF name of a Hugging Face tensor; nothing if GGUF has no place for it.
std::optional<MappedName> to_gguf_name(std::string_view hugging_face_name,
                                       const ModelConfig& config);

/// The row of the GGUF tensor that holds row `row` of the Hugging Face tensor.
std::int64_t gguf_row(RowOrder order, std::int64_t heads, std::int64_t rows, std::int64_t row);
/// Its inverse.
std::int64_t hugging_face_row(RowOrder order, std::int64_t heads, std::int64_t rows,
                              std::int64_t row);

}  // namespace tigerbot
