#include "tokenizer/sentencepiece_tokenizer.h"

#include <limits>

#include "base/error.h"
#include "tokenizer/space_words.h"
#include "tokenizer/utf8.h"

namespace tigerbot {
namespace {

using PieceType = SentencePieceModel::PieceType;

// True if `bytes`, ill-formed as they stand, may begin a well-formed character.
bool may_go_on(std::string_view bytes) {
  const auto lead = static_cast<unsigned char>(bytes[0]);
  if (lead < 0xC2 || lead > 0xF4 || bytes.size() >= utf8_length(lead)) return false;
  for (const char byte : bytes.substr(1)) {
    if ((static_cast<unsigned char>(byte) & 0xC0) != 0x80) return false;
  }
  if (bytes.size() < 2) return true;
  const auto second = static_cast<unsigned char>(bytes[1]);
  return (lead != 0xE0 || second >= 0xA0) && (lead != 0xED || second < 0xA0) &&
         (lead != 0xF0 || second >= 0x90) && (lead != 0xF4 || second < 0x90);
}

void append_piece(std::string_view piece, std::string& text) {
  while (!piece.empty()) {
    const std::size_t space = piece.find(kSpaceSymbol);
    text += piece.substr(0, space);
    if (space == std::string_view::npos) return;
    text += ' ';
    piece.remove_prefix(space + kSpaceSymbol.size());
  }
}

bool is_reserved(PieceType type) {
  return type == PieceType::kUnknown || type == PieceType::kControl || type == PieceType::kByte;
}

}  // namespace

SentencePieceTokenizer::SentencePieceTokenizer(SentencePieceModel model,
                                               const SentencePieceOptions& options,
                                               const std::string& path)
    : model_(std::move(model)),
      normalizer_(model_.normalizer, model_.treat_whitespace_as_suffix,
                  user_defined_symbols(model_), path),
      encoder_(make_sentencepiece_encoder(model_, path)),
      add_bos_(options.add_bos),
      add_eos_(options.add_eos) {
  if (!model_.denormalizer.precompiled_charsmap.empty()) {
    denormalizer_ =
        std::make_unique<SentencePieceNormalizer>(model_.denormalizer, false, ByteTrie(), path);
  }
  is_added_.assign(model_.pieces.size(), 0);
  for (const TokenId id : options.added_tokens) is_added_[id] = 1;
  std::vector<std::pair<std::string, std::int32_t>> added, special;
  for (const bool reserved : {true, false}) {
    for (std::size_t i = 0; i < model_.pieces.size(); ++i) {
      const auto& piece = model_.pieces[i];
      const auto id = static_cast<TokenId>(i);
      if (is_reserved(piece.type) != reserved) continue;
      ids_.emplace(piece.text, id);
      if (is_added_[id]) added.emplace_back(piece.text, id);
      if (is_added_[id] || is_special(id)) special.emplace_back(piece.text, id);
    }
  }
  added_tokens_ = ByteTrie(std::move(added));
  special_tokens_ = ByteTrie(std::move(special));

  bos_id = control_id(model_.bos_piece);
  eos_id = control_id(model_.eos_piece);
  pad_id = control_id(model_.pad_piece);
  for (std::size_t id = 0; id < model_.pieces.size(); ++id) {
    if (model_.pieces[id].type == PieceType::kUnknown) unk_id = static_cast<TokenId>(id);
  }
  switch (model_.type) {
    case SentencePieceModel::Type::kUnigram:
      kind = "SentencePiece unigram";
      break;
    case SentencePieceModel::Type::kBpe:
      kind = "SentencePiece BPE";
      break;
    case SentencePieceModel::Type::kWord:
      kind = "SentencePiece word";
      break;
    case SentencePieceModel::Type::kChar:
      kind = "SentencePiece character";
      break;
  }
}

void SentencePieceTokenizer::encode(std::string_view text, const EncodeOptions& options,
                                    std::vector<TokenId>& ids) const {
  if (options.add_special_tokens && add_bos_ && bos_id) ids.push_back(*bos_id);
  const ByteTrie& tokens = options.parse_special_tokens ? special_tokens_ : added_tokens_;
  std::size_t begin = 0;
  for (std::size_t at = 0; at < text.size() && !tokens.empty();) {
    if (tokens.child(ByteTrie::kRoot, static_cast<unsigned char>(text[at])) < 0) {
      ++at;
      continue;
    }
    const ByteTrie::Match match = tokens.longest_match(text.substr(at));
    if (match.length == 0) {
      ++at;
      continue;
    }
    encode_plain(text.substr(begin, at - begin), ids);
    ids.push_back(match.value);
    at += match.length;
    begin = at;
  }
  encode_plain(text.substr(begin), ids);
  if (options.add_special_tokens && add_eos_ && eos_id) ids.push_back(*eos_id);
}

void SentencePieceTokenizer::encode_plain(std::string_view text, std::vector<TokenId>& ids) const {
  if (text.empty()) return;
  const std::string normalized = normalizer_.normalize(text);
  if (normalized.size() >= std::size_t(std::numeric_limits<std::int32_t>::max())) {
    fail("text of {} bytes is too long to encode at once; cut it in parts below 500 MB",
         text.size());
  }
  if (!normalized.empty()) encoder_->encode(normalized, ids);
}

// Pieces back to text, one at a time, by libsentencepiece's rules: the space symbol that stands for
// the dummy space (or for trimmed white space) goes, and an ill-formed byte becomes U+FFFD.
class SentencePieceTokenizer::Decoder final : public IncrementalDecoder {
 public:
  Decoder(const SentencePieceTokenizer& tokenizer, bool skip_special_tokens)
      : tokenizer_(tokenizer), skip_special_tokens_(skip_special_tokens) {}

  std::string push(TokenId id) override {
    std::string text;
    append(id, text);
    return text;
  }
  std::string finish() override {
    std::string text;
    append_bytes(true, text);
    return text;
  }

  void append(TokenId id, std::string& text) {
    if (id < 0 || id >= tokenizer_.size()) {
      fail("token id {} is out of range; the vocabulary has {} pieces", id, tokenizer_.size());
    }
    const auto& piece = tokenizer_.model_.pieces[id];
    const std::size_t before = text.size();
    if (piece.type == PieceType::kByte) {
      bytes_ += static_cast<char>(byte_of_piece(piece.text));
      append_bytes(false, text);
    } else {
      append_bytes(true, text);
      if (took_space_ || has_text_ || text.size() > before) at_start_ = false;
      took_space_ = false;
      append_surface(id, text);
    }
    has_text_ |= text.size() > before;
  }

  // What the bytes so far say; all of them if no more can join the last character.
  void append_bytes(bool all, std::string& text) {
    std::size_t at = 0;
    while (at < bytes_.size()) {
      const DecodedChar c = next_code_point(bytes_, at);
      if (!c.valid && !all && may_go_on(std::string_view(bytes_).substr(at))) break;
      append_utf8(text, c.code_point);
      at += c.length;
    }
    bytes_.erase(0, at);
  }

 private:
  void append_surface(TokenId id, std::string& text) {
    const SentencePieceModel& model = tokenizer_.model_;
    const auto& piece = model.pieces[id];
    if (tokenizer_.is_added_[id]) {
      text += piece.text;
    } else if (piece.type == PieceType::kControl) {
      if (!skip_special_tokens_) text += piece.text;
    } else if (piece.type == PieceType::kUnknown) {
      text += skip_special_tokens_ ? model.unk_surface : piece.text;
    } else {
      std::string_view surface = piece.text;
      const bool trims = model.normalizer.remove_extra_whitespaces;
      if (at_start_ && (model.normalizer.add_dummy_prefix || trims) &&
          surface.starts_with(kSpaceSymbol)) {
        surface.remove_prefix(kSpaceSymbol.size());
        took_space_ = !trims;
      }
      append_piece(surface, text);
    }
  }

  const SentencePieceTokenizer& tokenizer_;
  bool skip_special_tokens_;
  std::string bytes_;        // of byte pieces, not yet a character
  bool at_start_ = true;     // a space symbol here is the dummy space, or white space to be trimmed
  bool took_space_ = false;  // the piece before was robbed of its space symbol
  bool has_text_ = false;
};

std::string SentencePieceTokenizer::decode(std::span<const TokenId> ids,
                                           bool skip_special_tokens) const {
  Decoder decoder(*this, skip_special_tokens);
  std::string text;
  for (const TokenId id : ids) decoder.append(id, text);
  decoder.append_bytes(true, text);
  return denormalizer_ ? denormalizer_->normalize(text) : text;
}

std::unique_ptr<IncrementalDecoder> SentencePieceTokenizer::start_decoding(
    bool skip_special_tokens) const {
  if (denormalizer_) return Tokenizer::start_decoding(skip_special_tokens);
  return std::make_unique<Decoder>(*this, skip_special_tokens);
}

std::string SentencePieceTokenizer::piece(TokenId id) const {
  return id >= 0 && id < size() ? model_.pieces[id].text : std::string();
}

std::optional<TokenId> SentencePieceTokenizer::id(std::string_view piece) const {
  const auto found = ids_.find(std::string(piece));
  if (found == ids_.end()) return std::nullopt;
  return found->second;
}

bool SentencePieceTokenizer::is_special(TokenId id) const {
  if (id < 0 || id >= size() || is_added_[id]) return false;
  const PieceType type = model_.pieces[id].type;
  return type == PieceType::kControl || type == PieceType::kUnknown;
}

std::optional<TokenId> SentencePieceTokenizer::control_id(const std::string& piece) const {
  const auto found = id(piece);
  if (!found || model_.pieces[*found].type != PieceType::kControl) return std::nullopt;
  return found;
}

std::unique_ptr<Tokenizer> parse_sentencepiece_model(std::string_view bytes,
                                                     const std::string& path) {
  SentencePieceModel model = read_sentencepiece_model(bytes, path);
  // The file does not say which special tokens a model expects around its text. Llama and its kin
  // begin with <s>; models without one (T5) end with </s>.
  const auto is_control = [&](const std::string& text) {
    for (const auto& piece : model.pieces) {
      if (piece.text == text) return piece.type == PieceType::kControl;
    }
    return false;
  };
  SentencePieceOptions options;
  options.add_bos = is_control(model.bos_piece);
  options.add_eos = !options.add_bos && is_control(model.eos_piece);
  return std::make_unique<SentencePieceTokenizer>(std::move(model), options, path);
}

}  // namespace tigerbot
