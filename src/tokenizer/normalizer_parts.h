#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "tokenizer/normalizer.h"

namespace tigerbot {

// The normalizers of tokenizer.json that rest on Unicode's tables. Hugging Face tokenizers takes
// those from libraries of several ages (normalization forms and StripAccents: Unicode 9,
// BertNormalizer: Unicode 8, Lowercase: Unicode 17); the same characters change here.

enum class UnicodeForm { kNfc, kNfd, kNfkc, kNfkd };
std::unique_ptr<Normalizer> make_unicode_normalizer(UnicodeForm form);
std::unique_ptr<Normalizer> make_lowercase_normalizer();
std::unique_ptr<Normalizer> make_strip_accents_normalizer();
std::unique_ptr<Normalizer> make_nmt_normalizer();

/// SentencePiece's rules as Hugging Face tokenizers applies them: to grapheme clusters of up to
/// five bytes first, and there by the shortest rule. `blob` is the precompiled_charsmap.
std::unique_ptr<Normalizer> make_precompiled_normalizer(std::string_view blob,
                                                        const std::string& where);

/// Trims White_Space from one or both ends.
std::unique_ptr<Normalizer> make_strip_normalizer(bool left, bool right);

}  // namespace tigerbot
