#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace tigerbot {

/// What a SentencePiece model file says, without the parts that only training needs. Names and
/// numbers follow sentencepiece_model.proto.
struct SentencePieceModel {
  enum class Type : std::uint8_t { kUnigram = 1, kBpe = 2, kWord = 3, kChar = 4 };
  enum class PieceType : std::uint8_t {
    kNormal = 1,
    kUnknown = 2,
    kControl = 3,
    kUserDefined = 4,
    kUnused = 5,
    kByte = 6,
  };
  struct Piece {
    std::string text;
    float score = 0;
    PieceType type = PieceType::kNormal;
  };

  Type type = Type::kUnigram;
  std::vector<Piece> pieces;  ///< index is the id

  // trainer_spec
  bool byte_fallback = false;
  bool treat_whitespace_as_suffix = false;
  std::string unk_piece = "<unk>";
  std::string bos_piece = "<s>";
  std::string eos_piece = "</s>";
  std::string pad_piece = "<pad>";
  std::string unk_surface = " \xE2\x81\x87 ";  ///< what an unknown piece decodes to

  struct NormalizerSpec {
    std::string precompiled_charsmap;
    bool add_dummy_prefix = true;
    bool remove_extra_whitespaces = true;
    bool escape_whitespaces = true;
  };
  NormalizerSpec normalizer;    ///< what happens to text before it is segmented
  NormalizerSpec denormalizer;  ///< and after decoding, if it has a charsmap
};

/// Throws unless the piece is text of a sane length with a score. `path` names the file in errors.
void check_sentencepiece(const SentencePieceModel::Piece& piece, std::size_t id,
                         const std::string& path);

/// Reads the protocol-buffer bytes of a model file. Fields that only training uses, and fields that
/// we do not know, are passed over, as protocol buffers ask. `path` names the file in errors.
SentencePieceModel read_sentencepiece_model(std::string_view bytes, const std::string& path);

}  // namespace tigerbot
