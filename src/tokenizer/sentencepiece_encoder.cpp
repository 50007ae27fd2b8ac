#include "tokenizer/sentencepiece_encoder.h"

#include <unordered_map>

#include "base/error.h"
#include "tokenizer/sentencepiece_normalizer.h"
#include "tokenizer/space_words.h"
#include "tokenizer/utf8.h"

namespace tigerbot {
namespace {

using PieceType = SentencePieceModel::PieceType;

// The character and the word models: the text falls into parts by its characters alone, and each
// part is a piece or unknown.
class PartEncoder final : public SentencePieceEncoder {
 public:
  PartEncoder(const SentencePieceModel& model, const std::string& path)
      : by_word_(model.type == SentencePieceModel::Type::kWord),
        user_defined_(user_defined_symbols(model)),
        unknown_(model, path) {
    // Reserved pieces hide ordinary ones of the same text.
    for (const bool reserved : {true, false}) {
      for (std::size_t id = 0; id < model.pieces.size(); ++id) {
        const auto& piece = model.pieces[id];
        const bool is_reserved = piece.type == PieceType::kUnknown ||
                                 piece.type == PieceType::kControl ||
                                 piece.type == PieceType::kByte;
        if (is_reserved == reserved) {
          pieces_.emplace(piece.text, static_cast<TokenId>(id));
        }
      }
    }
  }

  void encode(std::string_view text, std::vector<TokenId>& ids) const override {
    bool after_unknown = false;
    std::string key;
    while (!text.empty()) {
      const std::size_t length = by_word_ ? word_length(text) : part_length(text);
      key = text.substr(0, length);
      const auto found = pieces_.find(key);
      const bool unknown = found == pieces_.end() || found->second == unknown_.unk_id();
      if (unknown) {
        unknown_.append(key, after_unknown, ids);
      } else {
        ids.push_back(found->second);
      }
      after_unknown = unknown;
      text.remove_prefix(length);
    }
  }

 private:
  static std::size_t word_length(std::string_view text) {
    const std::size_t next = text.find(kSpaceSymbol, 1);
    return next == std::string_view::npos ? text.size() : next;
  }
  std::size_t part_length(std::string_view text) const {
    const std::size_t symbol = user_defined_.longest_match(text).length;
    return symbol > 0 ? symbol : utf8_length(static_cast<unsigned char>(text[0]));
  }

  bool by_word_;
  ByteTrie user_defined_;
  UnknownPieces unknown_;
  std::unordered_map<std::string, TokenId> pieces_;
};

}  // namespace

int byte_of_piece(std::string_view piece) {
  if (piece.size() != 6 || !piece.starts_with("<0x") || piece[5] != '>') return -1;
  int byte = 0;
  for (const char c : piece.substr(3, 2)) {
    if (c >= '0' && c <= '9') {
      byte = byte * 16 + (c - '0');
    } else if (c >= 'A' && c <= 'F') {
      byte = byte * 16 + (c - 'A' + 10);
    } else {
      return -1;
    }
  }
  return byte;
}

UnknownPieces::UnknownPieces(const SentencePieceModel& model, const std::string& path)
    : byte_fallback_(model.byte_fallback), byte_ids_(256, -1) {
  for (std::size_t id = 0; id < model.pieces.size(); ++id) {
    const auto& piece = model.pieces[id];
    if (piece.type == PieceType::kUnknown) {
      if (unk_id_ >= 0) {
        fail("{}: pieces {} and {} are both the unknown piece; the file is damaged", path, unk_id_,
             id);
      }
      unk_id_ = static_cast<TokenId>(id);
    } else if (piece.type == PieceType::kByte) {
      const int byte = byte_of_piece(piece.text);
      if (byte < 0 || !byte_fallback_) {
        fail("{}: piece {} is a byte piece, but {}; the file is damaged", path, id,
             byte < 0 ? "its text is not of the form <0xE4>" : "byte_fallback is false");
      }
      byte_ids_[byte] = static_cast<TokenId>(id);
    }
  }
  if (unk_id_ < 0 && !byte_fallback_)
    fail("{}: no piece is the unknown piece; the file is damaged", path);
  for (int byte = 0; byte_fallback_ && byte < 256; ++byte) {
    if (byte_ids_[byte] < 0) {
      fail("{}: byte_fallback is true, but the byte piece <0x{:02X}> is missing", path, byte);
    }
  }
}

void UnknownPieces::append(std::string_view part, bool after_unknown,
                           std::vector<TokenId>& ids) const {
  if (byte_fallback_) {
    for (const char byte : part) ids.push_back(byte_ids_[static_cast<unsigned char>(byte)]);
  } else if (!after_unknown) {
    ids.push_back(unk_id_);
  }
}

std::unique_ptr<SentencePieceEncoder> make_sentencepiece_encoder(const SentencePieceModel& model,
                                                                 const std::string& path) {
  switch (model.type) {
    case SentencePieceModel::Type::kBpe:
      return make_sentencepiece_bpe(model, path);
    case SentencePieceModel::Type::kUnigram:
      return make_sentencepiece_unigram(model, path);
    case SentencePieceModel::Type::kWord:
    case SentencePieceModel::Type::kChar:
      return std::make_unique<PartEncoder>(model, path);
  }
  fail("{}: unknown SentencePiece model type", path);
}

}  // namespace tigerbot
