#pragma once

#include <string>
#include <string_view>

#include "tokenizer/byte_trie.h"
#include "tokenizer/precompiled_charsmap.h"
#include "tokenizer/sentencepiece_model.h"

namespace tigerbot {

/// SentencePiece's text normalization: the compiled rules, white space trimmed and joined, a dummy
/// space before (or after) the text, spaces written as U+2581; an ill-formed byte becomes U+FFFD.
class SentencePieceNormalizer {
 public:
  SentencePieceNormalizer(const SentencePieceModel::NormalizerSpec& spec,
                          bool treat_whitespace_as_suffix, ByteTrie user_defined,
                          const std::string& where);

  std::string normalize(std::string_view text) const;

 private:
  struct Prefix {
    std::string_view replacement;
    std::size_t length;
  };
  Prefix normalize_prefix(std::string_view text) const;
  void append_plain(std::string_view text, std::string& normalized) const;

  PrecompiledCharsmap charsmap_;
  ByteTrie user_defined_;
  bool plain_;  // no rule and no user-defined symbol: only spaces change
  bool add_dummy_prefix_;
  bool remove_extra_whitespaces_;
  bool treat_whitespace_as_suffix_;
  std::string_view space_;
};

/// The user-defined symbols of a model, which no rule changes and no segmentation cuts; the value
/// is the id.
ByteTrie user_defined_symbols(const SentencePieceModel& model);

}  // namespace tigerbot
