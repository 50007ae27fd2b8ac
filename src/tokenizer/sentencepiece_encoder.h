#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "tokenizer/sentencepiece_model.h"
#include "tokenizer/tokenizer.h"

namespace tigerbot {

/// Segments normalized text as one kind of SentencePiece model does. Safe to use from many threads.
class SentencePieceEncoder {
 public:
  virtual ~SentencePieceEncoder() = default;

  /// Appends the ids of `text`: valid UTF-8, normalized, at most 2 GB.
  virtual void encode(std::string_view text, std::vector<TokenId>& ids) const = 0;
};

/// The encoder for the model's type. `path` names the file in errors.
std::unique_ptr<SentencePieceEncoder> make_sentencepiece_encoder(const SentencePieceModel& model,
                                                                 const std::string& path);

std::unique_ptr<SentencePieceEncoder> make_sentencepiece_bpe(const SentencePieceModel& model,
                                                             const std::string& path);
std::unique_ptr<SentencePieceEncoder> make_sentencepiece_unigram(const SentencePieceModel& model,
                                                                 const std::string& path);

/// Ids of unknown parts: bytes where the model falls back to them, else one unknown piece for all
/// unknown parts in a row.
class UnknownPieces {
 public:
  UnknownPieces(const SentencePieceModel& model, const std::string& path);

  TokenId unk_id() const { return unk_id_; }
  bool byte_fallback() const { return byte_fallback_; }
  TokenId byte_id(unsigned char byte) const { return byte_ids_[byte]; }

  /// Appends the unknown `part`. `after_unknown`: the part before it was unknown too.
  void append(std::string_view part, bool after_unknown, std::vector<TokenId>& ids) const;

 private:
  TokenId unk_id_ = -1;
  bool byte_fallback_ = false;
  std::vector<TokenId> byte_ids_;
};

/// The byte that a piece such as "<0xE4>" stands for, or -1.
int byte_of_piece(std::string_view piece);

}  // namespace tigerbot
