#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace tigerbot {

using TokenId = std::int32_t;

/// Memory for ids; not written before use.
struct FreeIds {
  void operator()(TokenId* ids) const;
};
using IdBlock = std::unique_ptr<TokenId[], FreeIds>;
IdBlock allocate_ids(std::size_t count);

/// The ids of many texts, in the blocks where the threads wrote them.
struct EncodedBatch {
  std::vector<std::span<const TokenId>> texts;  ///< into the blocks
  std::vector<IdBlock> blocks;
};

/// One text that is decoded an id at a time; see StreamDecoder.
class IncrementalDecoder {
 public:
  virtual ~IncrementalDecoder() = default;
  /// The text that this id makes sure.
  virtual std::string push(TokenId id) = 0;
  /// The rest.
  virtual std::string finish() = 0;
};

/// Text to ids and back, exactly as the model's authors' own tokenizer does it. Immutable after
/// construction and safe to use from many threads.
class Tokenizer {
 public:
  virtual ~Tokenizer() = default;

  struct EncodeOptions {
    /// Add what the post-processor adds (beginning and end of sequence, [CLS], [SEP]).
    bool add_special_tokens = true;
    /// Recognize special tokens written in the text; false treats them as plain text (user input).
    bool parse_special_tokens = true;
  };

  /// Appends the ids of `text` (UTF-8; invalid bytes are replaced as the reference does).
  virtual void encode(std::string_view text, const EncodeOptions& options,
                      std::vector<TokenId>& ids) const = 0;

  std::vector<TokenId> encode(std::string_view text, const EncodeOptions& options) const {
    std::vector<TokenId> ids;
    encode(text, options, ids);
    return ids;
  }
  std::vector<TokenId> encode(std::string_view text) const { return encode(text, {}); }

  /// The same for many texts, on `threads` threads (0: as many as the machine has).
  virtual EncodedBatch encode_batch(std::span<const std::string_view> texts,
                                    const EncodeOptions& options, int threads) const;

  /// The text of `ids`; special tokens are left out if `skip_special_tokens`.
  virtual std::string decode(std::span<const TokenId> ids, bool skip_special_tokens) const = 0;

  /// Decodes an id at a time; must not outlive the tokenizer.
  virtual std::unique_ptr<IncrementalDecoder> start_decoding(bool skip_special_tokens) const;

  /// Number of pieces, added tokens included: every id is below it.
  virtual std::int64_t size() const = 0;
  /// The piece as it stands in the vocabulary file; empty where no piece has this id.
  virtual std::string piece(TokenId id) const = 0;
  /// The id of a piece, spelled as in the vocabulary file.
  virtual std::optional<TokenId> id(std::string_view piece) const = 0;
  virtual bool is_special(TokenId id) const = 0;

  /// Ids with a role; nothing where the model has none.
  std::optional<TokenId> bos_id;
  std::optional<TokenId> eos_id;
  std::optional<TokenId> pad_id;
  std::optional<TokenId> unk_id;
  /// Ids from here on stand for nothing: they fill a vocabulary up and are never generated.
  std::optional<std::int64_t> padding_from;
  /// What kind it is, for people: "byte-level BPE", "SentencePiece unigram", "WordPiece".
  std::string kind;
};

/// Decodes one id at a time and gives text only when its last character is whole, so that the
/// parts, concatenated, equal the decoding of all ids at once. Must not outlive the tokenizer.
class StreamDecoder {
 public:
  StreamDecoder(const Tokenizer& tokenizer, bool skip_special_tokens)
      : decoder_(tokenizer.start_decoding(skip_special_tokens)) {}

  /// The text that this id completes; empty while a character is still in parts.
  std::string push(TokenId id) { return decoder_->push(id); }
  /// What is left at the end (an unfinished character becomes U+FFFD).
  std::string finish() { return decoder_->finish(); }

 private:
  std::unique_ptr<IncrementalDecoder> decoder_;
};

/// Reads `tokenizer.json` (Hugging Face tokenizers): byte-level BPE, SentencePiece-style BPE,
/// unigram and WordPiece, with their normalizers, pre-tokenizers, post-processors and decoders.
/// `path` names the file in errors. A part that we do not know is an error.
std::unique_ptr<Tokenizer> parse_tokenizer_json(std::string_view json, const std::string& path);

/// Reads a SentencePiece model file (BPE or unigram).
std::unique_ptr<Tokenizer> parse_sentencepiece_model(std::string_view bytes,
                                                     const std::string& path);

/// A tokenizer as GGUF's metadata describes it.
struct GgufTokenizer {
  std::string model;  ///< tokenizer.ggml.model: "gpt2", "llama", "t5", "bert"
  std::string pre;    ///< tokenizer.ggml.pre: "smollm", "llama-bpe", "qwen2", ...
  std::vector<std::string> tokens;
  std::vector<float> scores;
  std::vector<std::int32_t> token_types;
  std::vector<std::string> merges;
  std::optional<TokenId> bos_id, eos_id, unk_id, pad_id;
  std::optional<bool> add_bos, add_eos, add_space_prefix;
  std::optional<bool> remove_extra_whitespaces;  ///< "t5", and ours of "llama"
  std::string precompiled_charsmap;              ///< the same: the normalization rules' bytes
  std::optional<bool> lowercase;                 ///< "bert": tokenizer.ggml.normalizer.lowercase
};
std::unique_ptr<Tokenizer> make_gguf_tokenizer(const GgufTokenizer& gguf, const std::string& path);

}  // namespace tigerbot
