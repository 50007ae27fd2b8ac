#include "tokenizer/extension/sentencepiece_extension.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <unordered_set>

#include "base/error.h"
#include "base/text.h"
#include "tokenizer/utf8.h"

namespace tigerbot {
namespace {

using Piece = SentencePieceModel::Piece;
using PieceType = SentencePieceModel::PieceType;

constexpr std::string_view kSpace = "\xE2\x96\x81";  // U+2581 stands for a space

void put_varint(std::uint64_t value, std::string& out) {
  for (; value >= 0x80; value >>= 7) out.push_back(static_cast<char>(value | 0x80));
  out.push_back(static_cast<char>(value));
}

void put_bytes(std::uint32_t field, std::string_view bytes, std::string& out) {
  put_varint(field << 3 | 2, out);
  put_varint(bytes.size(), out);
  out += bytes;
}

// A ModelProto.SentencePiece: piece = 1, score = 2; type is NORMAL where it is missing.
std::string serialize(const std::string& text, float score) {
  std::string out;
  put_bytes(1, text, out);
  put_varint(2 << 3 | 5, out);
  const auto bits = std::bit_cast<std::uint32_t>(score);
  for (int shift = 0; shift < 32; shift += 8) out.push_back(static_cast<char>(bits >> shift));
  return out;
}

std::uint64_t get_varint(std::string_view bytes, std::size_t& at, const std::string& path) {
  std::uint64_t value = 0;
  for (int shift = 0; shift < 64; shift += 7) {
    if (at >= bytes.size()) break;
    const auto byte = static_cast<unsigned char>(bytes[at++]);
    value |= std::uint64_t{byte & 0x7Fu} << shift;
    if (byte < 0x80) return value;
  }
  fail("{}: the file breaks off", path);
}

// The file without its self-test samples (field 4), which the new pieces may make out of date.
std::string without_self_test(std::string_view bytes, const std::string& path) {
  std::string out;
  for (std::size_t at = 0; at < bytes.size();) {
    const std::size_t begin = at;
    const std::uint64_t tag = get_varint(bytes, at, path);
    std::uint64_t length = 0;
    switch (tag & 7) {
      case 0:
        get_varint(bytes, at, path);
        break;
      case 1:
        length = 8;
        break;
      case 2:
        length = get_varint(bytes, at, path);
        break;
      case 5:
        length = 4;
        break;
      default:
        fail("{}: no SentencePiece model", path);
    }
    if (length > bytes.size() - at) fail("{}: the file breaks off", path);
    at += length;
    if (tag >> 3 != 4) out += bytes.substr(begin, at - begin);
  }
  return out;
}

// The text that a piece stands for.
std::string surface(const std::string& piece) {
  std::string text;
  for (std::size_t at = 0; at < piece.size();) {
    if (std::string_view(piece).substr(at, kSpace.size()) == kSpace) {
      text.push_back(' ');
      at += kSpace.size();
    } else {
      text.push_back(piece[at++]);
    }
  }
  return text;
}

bool is_one_character(std::string_view text) {
  return !text.empty() && next_code_point(text, 0).length == text.size();
}

// True if two pieces spell it: then BPE can make it.
bool is_reachable(const std::string& piece, const std::unordered_set<std::string>& pieces) {
  if (is_one_character(piece)) return true;
  for (std::size_t cut = 1; cut < piece.size(); ++cut) {
    if ((static_cast<unsigned char>(piece[cut]) & 0xC0) == 0x80) continue;
    if (pieces.contains(piece.substr(0, cut)) && pieces.contains(piece.substr(cut))) return true;
  }
  return false;
}

}  // namespace

SentencePieceExtension extend_sentencepiece(std::string_view base_bytes,
                                            const SentencePieceModel& added, std::size_t max_pieces,
                                            const BaseTextGuard* guard, const std::string& path) {
  const SentencePieceModel base = read_sentencepiece_model(base_bytes, path);
  if (base.type != added.type) {
    fail(
        "{}: the base and the pieces to add are of different types; both must be BPE, or both "
        "unigram",
        path);
  }
  const bool is_bpe = base.type == SentencePieceModel::Type::kBpe;
  if (!is_bpe && base.type != SentencePieceModel::Type::kUnigram) {
    fail("{}: only BPE and unigram models can be extended", path);
  }
  if (base.pieces.size() >= max_pieces) {
    fail("{}: the base has {} pieces already and --max-pieces is {}; nothing can be added", path,
         base.pieces.size(), max_pieces);
  }
  // In BPE scores are ranks; those of byte and control pieces say nothing.
  float lowest = 0;
  std::unordered_set<std::string> pieces, normal;
  for (const Piece& piece : base.pieces) {
    if (!pieces.insert(piece.text).second) {
      fail("{}: the piece {} stands twice; a base to extend has every piece once", path,
           quote(piece.text));
    }
    if (piece.type == PieceType::kNormal || piece.type == PieceType::kUserDefined) {
      lowest = std::min(lowest, piece.score);
      normal.insert(piece.text);
    }
  }
  float highest_added = -3.0e38f;
  for (const Piece& piece : added.pieces) {
    if (piece.type == PieceType::kNormal) highest_added = std::max(highest_added, piece.score);
  }
  // The most wanted first; single characters of BPE stand at the end of a model file, but
  // everything else is made of them.
  std::vector<const Piece*> wanted;
  for (const Piece& piece : added.pieces) {
    if (piece.type == PieceType::kNormal) wanted.push_back(&piece);
  }
  SentencePieceExtension result;
  result.model = without_self_test(base_bytes, path);
  const std::size_t room = max_pieces - base.pieces.size();
  const auto is_wanted = [&](const Piece& piece) {
    if (pieces.contains(piece.text)) {
      ++result.known;
      return false;
    }
    if (guard != nullptr && guard->may_occur(surface(piece.text))) {
      ++result.unsafe;
      return false;
    }
    return true;
  };
  std::erase_if(wanted, [&](const Piece* piece) { return !is_wanted(*piece); });
  if (wanted.size() > room) {
    // Of those that have no room the last go, but characters only after all others: the rest is
    // made of them.
    std::vector<const Piece*> kept;
    std::size_t characters = 0;
    if (is_bpe) {
      for (const Piece* piece : wanted) characters += is_one_character(piece->text) ? 1 : 0;
    }
    std::size_t others = room - std::min(room, characters);
    std::size_t singles = std::min(room, characters);
    for (const Piece* piece : wanted) {
      std::size_t& left = is_bpe && is_one_character(piece->text) ? singles : others;
      if (left == 0) {
        ++result.no_room;
        continue;
      }
      --left;
      kept.push_back(piece);
    }
    wanted = std::move(kept);
  }
  for (const Piece* piece : wanted) {
    if (is_one_character(piece->text)) normal.insert(piece->text);
  }
  // By score, so that what a piece is made of comes before it.
  for (const Piece* piece : wanted) {
    if (is_bpe && !is_reachable(piece->text, normal)) {
      ++result.unreachable;
      continue;
    }
    normal.insert(piece->text);
    const float score = is_bpe ? lowest - 1 - static_cast<float>(result.pieces)
                               : lowest + std::min(piece->score - highest_added, 0.0f) - 1e-4f;
    put_bytes(1, serialize(piece->text, score), result.model);
    ++result.pieces;
  }
  // trainer_spec (field 2) once more: a message that stands twice is merged, so that only
  // vocab_size (its field 4) changes.
  std::string spec;
  put_varint(4 << 3 | 0, spec);
  put_varint(base.pieces.size() + result.pieces, spec);
  put_bytes(2, spec, result.model);
  return result;
}

}  // namespace tigerbot
