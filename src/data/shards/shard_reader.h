#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "base/json.h"
#include "tokenizer/tokenizer.h"

namespace tigerbot::data {

/// One source of a mixture.
struct ShardSource {
  std::string name;                           ///< "zh-books"; unique
  std::vector<std::filesystem::path> shards;  ///< prefixes of .bin and .idx files
  /// Its share of the tokens, in any unit; must be positive. 0: as many tokens as it has, so that
  /// one epoch of it goes with one epoch of the other sources of weight 0.
  double weight = 0;
};

enum class Shuffle {
  kDocuments,  ///< a new order of all documents in each epoch
  kWindows,    ///< a new order of windows of sequence_length tokens, each as stored
  kNone,       ///< as stored, in every epoch
};

enum class Packing {
  kSplit,  ///< a document that does not fit goes on in the next sequence: all sequences are full
  kWhole,  ///< only documents longer than a sequence are cut; sequences may be shorter
};

struct ShardReaderOptions {
  std::vector<ShardSource> sources;
  std::int64_t sequence_length = 2048;  ///< most tokens of a sequence
  Shuffle shuffle = Shuffle::kDocuments;
  Packing packing = Packing::kSplit;
  std::uint64_t seed = 0;
  /// Which of how many data-parallel readers this is: reader r has sequences r, r + readers, ... of
  /// the one global order, which does not depend on their number.
  int reader = 0, readers = 1;
  /// Pieces of the model; an id at or past it is an Error.
  std::int64_t vocabulary_size = 0;
  /// tokenizer_fingerprint() of the model's tokenizer (data/shards/manifest.h); a shard whose
  /// manifest has another is an Error. "": not looked at.
  std::string tokenizer;
};

/// Packed sequences, one after another: documents are ragged sequences of their own, nothing
/// attends or predicts across their borders, and there is no padding.
struct PackedTokens {
  std::vector<std::int32_t> ids;  ///< [tokens]
  /// [tokens]: the id that follows in the document, even where the document goes on in another
  /// sequence, so that every id but a document's first is predicted once; -100 after its last.
  std::vector<std::int64_t> labels;
  std::vector<std::int32_t> positions;   ///< [tokens]: 0, 1, ... within each piece
  std::vector<std::int32_t> cu_seqlens;  ///< [pieces + 1]: first token of each piece, then tokens
  std::vector<std::int32_t> sources;     ///< [pieces]: index into ShardReaderOptions::sources
  std::int64_t sequences = 0;            ///< how many sequences of sequence_length these are

  std::int64_t tokens() const { return static_cast<std::int64_t>(ids.size()); }
};

/// How far the readers have come in one source, all of them together.
struct SourceProgress {
  std::string name;
  std::uint64_t tokens = 0;  ///< given out, over all epochs
  std::uint64_t epoch = 0;   ///< full passes
  double epochs = 0;         ///< tokens over the tokens of one pass
  double weight = 0;         ///< its share of the mixture, between 0 and 1
};

/// Reads token shards for training: an endless sequence of packed sequences, mixed and shuffled by
/// arithmetic alone (no list of documents is in memory, whatever their number). The global order is
/// a function of sources, sequence_length, shuffle, packing and seed. Not for several threads.
class ShardReader {
 public:
  explicit ShardReader(const ShardReaderOptions& options);
  ~ShardReader();
  ShardReader(ShardReader&&) noexcept;
  ShardReader& operator=(ShardReader&&) noexcept;

  /// The next `sequences` sequences of this reader.
  PackedTokens next(std::int64_t sequences = 1);

  /// Sequences that all readers together have given, if each has given as many as this one.
  std::uint64_t position() const;
  /// The same in tokens.
  std::uint64_t tokens() const;
  /// By source, at position().
  std::vector<SourceProgress> progress() const;

  /// Where position() is: a small JSON object, the same on every reader. A reader of the same
  /// sources, lengths and seed goes on from it exactly, with any number of readers.
  Json state() const;
  /// An Error if `state` is of other sources, lengths or seed; `where` names its file in it.
  void restore(const Json& state, const std::string& where);

  /// Tokens of one pass over every source.
  std::uint64_t epoch_tokens() const;

 private:
  struct Implementation;
  std::unique_ptr<Implementation> implementation_;
};

}  // namespace tigerbot::data
