#pragma once

#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "tokenizer/added_tokens.h"
#include "tokenizer/bpe_model.h"
#include "tokenizer/decoder.h"
#include "tokenizer/id_buffer.h"
#include "tokenizer/normalizer.h"
#include "tokenizer/post_processor.h"
#include "tokenizer/pre_tokenizer.h"
#include "tokenizer/scratch_pool.h"
#include "tokenizer/tokenizer.h"
#include "tokenizer/word_encoder.h"

namespace tigerbot {

/// Turns one pre-token into ids: what the `model` node of tokenizer.json describes.
class PieceModel {
 public:
  virtual ~PieceModel() = default;
  /// Appends the ids of one pre-token (valid UTF-8, not empty).
  virtual void encode(std::string_view word, std::vector<TokenId>& ids) const = 0;
};

/// The parts of a tokenizer.json, put together.
struct Pipeline {
  std::string kind;
  std::unique_ptr<Normalizer> normalizer;  ///< null: none
  PreTokenizer pre_tokenizer;
  /// One of the two: byte-level BPE works on raw bytes, the others on characters.
  std::unique_ptr<BpeModel> byte_model;
  std::unique_ptr<PieceModel> piece_model;
  /// By id, as the vocabulary file spells them; empty where an id has no piece.
  std::vector<std::string> pieces;
  std::vector<AddedToken> added_tokens;
  PostProcessor post_processor;
  Decoder decoder;
};

class PipelineTokenizer : public Tokenizer {
 public:
  /// Takes added tokens into the table of pieces.
  explicit PipelineTokenizer(Pipeline pipeline);

  using Tokenizer::encode;
  void encode(std::string_view text, const EncodeOptions& options,
              std::vector<TokenId>& ids) const override;
  EncodedBatch encode_batch(std::span<const std::string_view> texts, const EncodeOptions& options,
                            int threads) const override;
  std::string decode(std::span<const TokenId> ids, bool skip_special_tokens) const override;
  std::unique_ptr<IncrementalDecoder> start_decoding(bool skip_special_tokens) const override;
  std::int64_t size() const override { return static_cast<std::int64_t>(pipeline_.pieces.size()); }
  std::string piece(TokenId id) const override;
  std::optional<TokenId> id(std::string_view piece) const override;
  bool is_special(TokenId id) const override;

 private:
  struct Scratch {
    WordEncoder words;
    IdBuffer ids;
    std::vector<TokenId> word_ids;
  };
  // A part of one text: an added token, or characters to encode, normalized.
  struct Segment {
    std::string_view text;
    bool at_start = false;
    const AddedToken* token = nullptr;
  };
  struct Segments {
    std::vector<Segment> segments;
    std::deque<std::string> storage;
  };
  Segments segment(std::string_view text, bool parse_special_tokens) const;
  void encode_segment(const Segment& segment, Scratch& scratch, IdBuffer& ids) const;
  void encode_text(std::string_view text, const EncodeOptions& options, Scratch& scratch,
                   IdBuffer& ids) const;

  // A piece of one thread's work: whole texts, or a part of a long one.
  struct WorkUnit {
    std::size_t first_text, end_text;
    std::vector<Segment> segments;  // of the part; none for whole texts
  };
  std::vector<WorkUnit> plan(std::span<const std::string_view> texts, const EncodeOptions& options,
                             std::deque<Segments>& long_texts) const;
  std::size_t size_of(const WorkUnit& unit, std::span<const std::string_view> texts) const;
  std::vector<std::size_t> encode_unit(const WorkUnit& unit,
                                       std::span<const std::string_view> texts,
                                       const EncodeOptions& options, Scratch& scratch,
                                       IdBuffer& ids) const;

  Pipeline pipeline_;
  AddedTokenFinder raw_tokens_, normalized_tokens_;
  std::unordered_map<std::string_view, TokenId> ids_;
  std::vector<bool> special_;
  std::vector<std::string> bytes_;  // by id, for the byte-level decoder
  mutable ScratchPool<Scratch> scratch_;
};

}  // namespace tigerbot
