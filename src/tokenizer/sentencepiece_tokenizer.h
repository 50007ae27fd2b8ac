#pragma once

#include <array>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "tokenizer/byte_trie.h"
#include "tokenizer/sentencepiece_encoder.h"
#include "tokenizer/sentencepiece_model.h"
#include "tokenizer/sentencepiece_normalizer.h"
#include "tokenizer/tokenizer.h"

namespace tigerbot {

/// What a SentencePiece model file leaves to its user, or GGUF says beside it.
struct SentencePieceOptions {
  bool add_bos = false;  ///< with EncodeOptions::add_special_tokens
  bool add_eos = false;
  /// Pieces found in the text as written, whether special tokens are parsed or not; decoded as they
  /// are. (A model's own user-defined symbols are found in the normalized text instead.)
  std::vector<TokenId> added_tokens;
};

/// A SentencePiece model with its special tokens. A special token written in the text (where it is
/// to be recognized) cuts the text in two; each part is normalized by itself, dummy space included.
class SentencePieceTokenizer final : public Tokenizer {
 public:
  /// `path` names the file in errors.
  SentencePieceTokenizer(SentencePieceModel model, const SentencePieceOptions& options,
                         const std::string& path);

  using Tokenizer::encode;
  void encode(std::string_view text, const EncodeOptions& options,
              std::vector<TokenId>& ids) const override;
  std::string decode(std::span<const TokenId> ids, bool skip_special_tokens) const override;
  std::unique_ptr<IncrementalDecoder> start_decoding(bool skip_special_tokens) const override;
  std::int64_t size() const override { return static_cast<std::int64_t>(model_.pieces.size()); }
  std::string piece(TokenId id) const override;
  std::optional<TokenId> id(std::string_view piece) const override;
  bool is_special(TokenId id) const override;

 private:
  class Decoder;
  void encode_plain(std::string_view text, std::vector<TokenId>& ids) const;
  std::optional<TokenId> control_id(const std::string& piece) const;

  SentencePieceModel model_;
  SentencePieceNormalizer normalizer_;
  std::unique_ptr<SentencePieceNormalizer> denormalizer_;
  std::unique_ptr<SentencePieceEncoder> encoder_;
  bool add_bos_, add_eos_;
  ByteTrie added_tokens_;    // always cut the text
  ByteTrie special_tokens_;  // and these too where special tokens are parsed
  std::vector<char> is_added_;
  std::unordered_map<std::string, TokenId> ids_;
};

}  // namespace tigerbot
