#include "tokenizer/sentencepiece_model.h"

#include <bit>
#include <cmath>
#include <cstring>
#include <optional>

#include "base/error.h"
#include "tokenizer/utf8.h"

namespace tigerbot {
namespace {

using Piece = SentencePieceModel::Piece;

// Longer pieces than libsentencepiece accepts.
constexpr std::size_t kMaxPieceBytes = 8000;

// One field of a message in the protocol-buffer wire format.
struct Field {
  std::uint32_t number = 0;
  std::uint32_t wire_type = 0;  // 0 varint, 1 eight bytes, 2 length and bytes, 5 four bytes
  std::uint64_t value = 0;      // varint, or the bits of a fixed number
  std::string_view bytes;       // of wire type 2
};

// Reads the fields of one message; every length is checked against what is left.
class Message {
 public:
  Message(std::string_view bytes, const std::string& path) : rest_(bytes), path_(path) {}

  std::optional<Field> next() {
    if (rest_.empty()) return std::nullopt;
    Field field;
    const std::uint64_t key = varint();
    field.number = static_cast<std::uint32_t>(key >> 3);
    field.wire_type = static_cast<std::uint32_t>(key & 7);
    if (key >> 32 != 0 || field.number == 0) damaged("a field number is out of range");
    switch (field.wire_type) {
      case 0:
        field.value = varint();
        break;
      case 1:
        field.value = fixed<std::uint64_t>();
        break;
      case 2: {
        const std::uint64_t length = varint();
        if (length > rest_.size()) damaged("a length goes past the end");
        field.bytes = rest_.substr(0, length);
        rest_.remove_prefix(length);
        break;
      }
      case 5:
        field.value = fixed<std::uint32_t>();
        break;
      default:
        damaged("a field has a wire type that is none");
    }
    return field;
  }

  [[noreturn]] void damaged(const char* what) const {
    fail("{}: not a SentencePiece model, or damaged: {}", path_, what);
  }

 private:
  std::uint64_t varint() {
    std::uint64_t value = 0;
    for (int shift = 0; shift < 64; shift += 7) {
      if (rest_.empty()) damaged("a number is cut short");
      const auto byte = static_cast<unsigned char>(rest_.front());
      rest_.remove_prefix(1);
      value |= std::uint64_t(byte & 0x7F) << shift;
      if (byte < 0x80) return value;
    }
    damaged("a number is too long");
  }

  template <typename Bits>
  Bits fixed() {
    if (rest_.size() < sizeof(Bits)) damaged("a number is cut short");
    Bits bits;
    std::memcpy(&bits, rest_.data(), sizeof(bits));
    rest_.remove_prefix(sizeof(bits));
    return bits;
  }

  std::string_view rest_;
  const std::string& path_;
};

void expect(const Message& message, const Field& field, std::uint32_t wire_type) {
  if (field.wire_type != wire_type)
    message.damaged("a field has another type than its number says");
}

Piece read_piece(std::string_view bytes, std::size_t id, const std::string& path) {
  Piece piece;
  Message message(bytes, path);
  while (const auto field = message.next()) {
    switch (field->number) {
      case 1:
        expect(message, *field, 2);
        piece.text = field->bytes;
        break;
      case 2:
        expect(message, *field, 5);
        piece.score = std::bit_cast<float>(static_cast<std::uint32_t>(field->value));
        break;
      case 3:
        expect(message, *field, 0);
        if (field->value < 1 || field->value > 6) {
          fail("{}: piece {} has the type {}, which we do not know", path, id, field->value);
        }
        piece.type = static_cast<SentencePieceModel::PieceType>(field->value);
        break;
      default:
        break;
    }
  }
  check_sentencepiece(piece, id, path);
  return piece;
}

void read_trainer_spec(std::string_view bytes, SentencePieceModel& model, const std::string& path) {
  Message message(bytes, path);
  const auto text = [&](const Field& field, std::string& into) {
    expect(message, field, 2);
    if (!field.bytes.empty()) into = field.bytes;
  };
  while (const auto field = message.next()) {
    switch (field->number) {
      case 3:
        expect(message, *field, 0);
        if (field->value < 1 || field->value > 4) {
          fail("{}: model_type {} is none that we know (unigram, bpe, word, char)", path,
               field->value);
        }
        model.type = static_cast<SentencePieceModel::Type>(field->value);
        break;
      case 24:
        expect(message, *field, 0);
        model.treat_whitespace_as_suffix = field->value != 0;
        break;
      case 35:
        expect(message, *field, 0);
        model.byte_fallback = field->value != 0;
        break;
      case 44:
        expect(message, *field, 2);
        model.unk_surface = field->bytes;
        break;
      case 45:
        text(*field, model.unk_piece);
        break;
      case 46:
        text(*field, model.bos_piece);
        break;
      case 47:
        text(*field, model.eos_piece);
        break;
      case 48:
        text(*field, model.pad_piece);
        break;
      default:
        break;
    }
  }
}

SentencePieceModel::NormalizerSpec read_normalizer_spec(std::string_view bytes,
                                                        const std::string& path) {
  SentencePieceModel::NormalizerSpec spec;
  Message message(bytes, path);
  while (const auto field = message.next()) {
    switch (field->number) {
      case 2:
        expect(message, *field, 2);
        spec.precompiled_charsmap = field->bytes;
        break;
      case 3:
        expect(message, *field, 0);
        spec.add_dummy_prefix = field->value != 0;
        break;
      case 4:
        expect(message, *field, 0);
        spec.remove_extra_whitespaces = field->value != 0;
        break;
      case 5:
        expect(message, *field, 0);
        spec.escape_whitespaces = field->value != 0;
        break;
      default:
        break;
    }
  }
  return spec;
}

}  // namespace

void check_sentencepiece(const Piece& piece, std::size_t id, const std::string& path) {
  if (piece.text.empty()) fail("{}: piece {} is empty; the file is damaged", path, id);
  if (piece.text.size() >= kMaxPieceBytes) {
    fail("{}: piece {} has {} bytes, more than {}; the file is damaged", path, id,
         piece.text.size(), kMaxPieceBytes);
  }
  if (piece.text.find('\0') != std::string::npos || !is_valid_utf8(piece.text)) {
    fail("{}: piece {} is not UTF-8 text; the file is damaged", path, id);
  }
  if (std::isnan(piece.score)) fail("{}: the score of piece {} is not a number", path, id);
}

SentencePieceModel read_sentencepiece_model(std::string_view bytes, const std::string& path) {
  SentencePieceModel model;
  Message message(bytes, path);
  while (const auto field = message.next()) {
    if (field->number == 0 || field->number > 5) continue;
    expect(message, *field, 2);
    switch (field->number) {
      case 1:
        model.pieces.push_back(read_piece(field->bytes, model.pieces.size(), path));
        break;
      case 2:
        read_trainer_spec(field->bytes, model, path);
        break;
      case 3:
        model.normalizer = read_normalizer_spec(field->bytes, path);
        break;
      case 5:
        model.denormalizer = read_normalizer_spec(field->bytes, path);
        break;
      default:
        break;  // 4: self-test samples
    }
  }
  if (model.pieces.empty()) {
    fail("{}: no pieces; this is not a SentencePiece model", path);
  }
  return model;
}

}  // namespace tigerbot
