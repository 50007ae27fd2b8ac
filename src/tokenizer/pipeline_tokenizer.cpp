#include "tokenizer/pipeline_tokenizer.h"

#include <algorithm>
#include <utility>

#include "tokenizer/byte_level_alphabet.h"
#include "tokenizer/incremental_utf8.h"
#include "tokenizer/utf8.h"

namespace tigerbot {
namespace {

std::vector<AddedToken> select(const std::vector<AddedToken>& tokens, bool normalized) {
  std::vector<AddedToken> selected;
  for (const AddedToken& token : tokens) {
    if (token.normalized == normalized) selected.push_back(token);
  }
  return selected;
}

AddedTokenFinder make_finder(const Pipeline& pipeline, bool normalized) {
  std::vector<AddedToken> tokens = select(pipeline.added_tokens, normalized);
  std::vector<std::string> contents;
  for (const AddedToken& token : tokens) {
    contents.push_back(normalized && pipeline.normalizer
                           ? pipeline.normalizer->normalize(token.content)
                           : token.content);
  }
  return AddedTokenFinder(std::move(tokens), contents);
}

}  // namespace

PipelineTokenizer::PipelineTokenizer(Pipeline pipeline)
    : pipeline_(std::move(pipeline)),
      raw_tokens_(make_finder(pipeline_, false)),
      normalized_tokens_(make_finder(pipeline_, true)) {
  kind = pipeline_.kind;
  std::vector<std::string>& pieces = pipeline_.pieces;
  ids_.reserve(pieces.size() + pipeline_.added_tokens.size());
  for (const AddedToken& token : pipeline_.added_tokens) {
    const auto index = static_cast<std::size_t>(token.id);
    if (index >= pieces.size()) pieces.resize(index + 1);
    if (special_.size() < pieces.size()) special_.resize(pieces.size());
    pieces[index] = token.content;
    if (token.special) special_[index] = true;
  }
  special_.resize(pieces.size());
  for (std::size_t i = 0; i < pieces.size(); ++i) {
    if (!pieces[i].empty()) ids_.try_emplace(pieces[i], static_cast<TokenId>(i));
  }
  if (pipeline_.decoder.is_byte_level()) {
    bytes_.reserve(pieces.size());
    for (const std::string& piece : pieces) {
      auto bytes = from_byte_level(piece);
      bytes_.push_back(bytes ? std::move(*bytes) : piece);
    }
  }
}

PipelineTokenizer::Segments PipelineTokenizer::segment(std::string_view text,
                                                       bool parse_special_tokens) const {
  Segments result;
  if (!is_valid_utf8(text)) {
    result.storage.push_back(replace_invalid_utf8(text));
    text = result.storage.back();
  }
  std::vector<AddedTokenFinder::Segment> raw;
  if (raw_tokens_.empty()) {
    if (!text.empty()) raw.push_back({text});
  } else {
    raw = raw_tokens_.split(text, parse_special_tokens);
  }
  for (const AddedTokenFinder::Segment& part : raw) {
    if (part.token != nullptr) {
      result.segments.push_back({part.text, false, part.token});
      continue;
    }
    std::string_view normalized = part.text;
    const bool at_start = part.text.data() == text.data();
    if (pipeline_.normalizer && !pipeline_.normalizer->keeps(part.text)) {
      result.storage.push_back(pipeline_.normalizer->normalize(part.text));
      normalized = result.storage.back();
    }
    if (normalized.empty()) continue;
    if (normalized_tokens_.empty()) {
      result.segments.push_back({normalized, at_start});
      continue;
    }
    for (const auto& inner : normalized_tokens_.split(normalized, parse_special_tokens)) {
      result.segments.push_back(
          {inner.text, at_start && inner.text.data() == normalized.data(), inner.token});
    }
  }
  return result;
}

void PipelineTokenizer::encode_segment(const Segment& segment, Scratch& scratch,
                                       IdBuffer& ids) const {
  if (segment.token != nullptr) {
    ids.push_back(segment.token->id);
    return;
  }
  const PreTokenizer& pre_tokenizer = pipeline_.pre_tokenizer;
  if (pipeline_.byte_model && pre_tokenizer.scanner()) {
    if (pre_tokenizer.add_prefix_space() && !segment.text.starts_with(' ')) {
      const std::string with_space = " " + std::string(segment.text);
      scratch.words.encode(*pipeline_.byte_model, *pre_tokenizer.scanner(), with_space, ids);
    } else {
      scratch.words.encode(*pipeline_.byte_model, *pre_tokenizer.scanner(), segment.text, ids);
    }
    return;
  }
  const Pieces pieces = pre_tokenizer.split(segment.text, segment.at_start);
  for (const Pieces::Piece& piece : pieces.pieces) {
    if (pipeline_.byte_model) {
      scratch.words.encode_word(*pipeline_.byte_model, piece.text, ids);
      continue;
    }
    scratch.word_ids.clear();
    if (pre_tokenizer.byte_level()) {
      pipeline_.piece_model->encode(to_byte_level(piece.text), scratch.word_ids);
    } else {
      pipeline_.piece_model->encode(piece.text, scratch.word_ids);
    }
    TokenId* const room = ids.room(scratch.word_ids.size());
    std::copy(scratch.word_ids.begin(), scratch.word_ids.end(), room);
    ids.commit(scratch.word_ids.size());
  }
}

void PipelineTokenizer::encode_text(std::string_view text, const EncodeOptions& options,
                                    Scratch& scratch, IdBuffer& ids) const {
  const PostProcessor& around = pipeline_.post_processor;
  if (options.add_special_tokens) {
    for (const TokenId id : around.before) ids.push_back(id);
  }
  const Segments segments = segment(text, options.parse_special_tokens);
  for (const Segment& part : segments.segments) encode_segment(part, scratch, ids);
  if (options.add_special_tokens) {
    for (const TokenId id : around.after) ids.push_back(id);
  }
}

void PipelineTokenizer::encode(std::string_view text, const EncodeOptions& options,
                               std::vector<TokenId>& ids) const {
  const auto scratch = scratch_.borrow();
  scratch->ids.clear();
  encode_text(text, options, *scratch, scratch->ids);
  const std::span<const TokenId> encoded = scratch->ids.ids();
  ids.insert(ids.end(), encoded.begin(), encoded.end());
}

namespace {

// The general decoder: pieces go through the steps.
class PieceDecoder : public IncrementalDecoder {
 public:
  PieceDecoder(const PipelineTokenizer& tokenizer, Decoder::Run run, bool skip_special_tokens)
      : tokenizer_(tokenizer), run_(std::move(run)), skip_special_tokens_(skip_special_tokens) {}
  std::string push(TokenId id) override {
    if (skip_special_tokens_ && tokenizer_.is_special(id)) return {};
    const std::string piece = tokenizer_.piece(id);
    return piece.empty() ? std::string() : run_.push(piece);
  }
  std::string finish() override { return run_.finish(); }

 private:
  const PipelineTokenizer& tokenizer_;
  Decoder::Run run_;
  bool skip_special_tokens_;
};

class ByteLevelDecoder : public IncrementalDecoder {
 public:
  ByteLevelDecoder(const PipelineTokenizer& tokenizer, const std::vector<std::string>& bytes,
                   bool skip_special_tokens)
      : tokenizer_(tokenizer), bytes_(bytes), skip_special_tokens_(skip_special_tokens) {}
  std::string push(TokenId id) override {
    if (id < 0 || static_cast<std::size_t>(id) >= bytes_.size()) return {};
    if (skip_special_tokens_ && tokenizer_.is_special(id)) return {};
    return utf8_.push(bytes_[static_cast<std::size_t>(id)]);
  }
  std::string finish() override { return utf8_.finish(); }

 private:
  const PipelineTokenizer& tokenizer_;
  const std::vector<std::string>& bytes_;
  bool skip_special_tokens_;
  IncrementalUtf8 utf8_;
};

}  // namespace

std::string PipelineTokenizer::decode(std::span<const TokenId> ids,
                                      bool skip_special_tokens) const {
  std::string text;
  if (pipeline_.decoder.is_byte_level()) {
    for (const TokenId id : ids) {
      if (id < 0 || static_cast<std::size_t>(id) >= bytes_.size()) continue;
      if (skip_special_tokens && is_special(id)) continue;
      text += bytes_[static_cast<std::size_t>(id)];
    }
    return is_valid_utf8(text) ? text : replace_invalid_utf8(text);
  }
  PieceDecoder decoder(*this, pipeline_.decoder.start(), skip_special_tokens);
  for (const TokenId id : ids) text += decoder.push(id);
  return text += decoder.finish();
}

std::unique_ptr<IncrementalDecoder> PipelineTokenizer::start_decoding(
    bool skip_special_tokens) const {
  if (pipeline_.decoder.is_byte_level()) {
    return std::make_unique<ByteLevelDecoder>(*this, bytes_, skip_special_tokens);
  }
  return std::make_unique<PieceDecoder>(*this, pipeline_.decoder.start(), skip_special_tokens);
}

std::string PipelineTokenizer::piece(TokenId id) const {
  if (id < 0 || static_cast<std::size_t>(id) >= pipeline_.pieces.size()) return {};
  return pipeline_.pieces[static_cast<std::size_t>(id)];
}

std::optional<TokenId> PipelineTokenizer::id(std::string_view piece) const {
  const auto found = ids_.find(piece);
  if (found == ids_.end()) return std::nullopt;
  return found->second;
}

bool PipelineTokenizer::is_special(TokenId id) const {
  return id >= 0 && static_cast<std::size_t>(id) < special_.size() &&
         special_[static_cast<std::size_t>(id)];
}

}  // namespace tigerbot
