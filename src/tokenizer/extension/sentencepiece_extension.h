#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "tokenizer/extension/base_text_guard.h"
#include "tokenizer/sentencepiece_model.h"

namespace tigerbot {

struct SentencePieceExtension {
  std::string model;       ///< bytes of the extended .model file
  std::size_t pieces = 0;  ///< that were added
  std::size_t known = 0, unsafe = 0, unreachable = 0, no_room = 0;  ///< that were not, and why
};

/// Puts the normal pieces of `added` that `base` lacks after its own, in their order, with scores
/// below all of the base's, so that in BPE the base's merges come first (TigerBot report, section
/// 3; arXiv:2312.08688). Everything else of the base's file stays as it is. In BPE a piece that no
/// two pieces spell is left out.
///
/// `base_bytes` is the base's file; `max_pieces` bounds the result; pieces that may occur in text
/// of base characters are left out unless `guard` is null. An Error where the base has a piece
/// twice, is of another type than `added`, or is at the limit; `path` names the base.
SentencePieceExtension extend_sentencepiece(std::string_view base_bytes,
                                            const SentencePieceModel& added, std::size_t max_pieces,
                                            const BaseTextGuard* guard, const std::string& path);

}  // namespace tigerbot
