#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "data/shards/manifest.h"
#include "parallel/communicator.h"
#include "tokenizer/tokenizer.h"

namespace tigerbot::data {

struct TokenizeOptions {
  std::vector<std::string> inputs;  ///< files, folders and globs, in the order of the documents
  std::filesystem::path output;     ///< PREFIX of the .bin, .idx and .json files
  std::string format;               ///< as ReaderOptions; "" tells by name and first bytes
  std::string text_field = "text";
  std::string text_unit = "file";
  /// Fields of a row that name its source and language, for the counts; a row without them counts
  /// for its file's name and for "".
  std::string source_field = "source", language_field = "language";
  std::optional<TokenId> bos_id;      ///< put in front of each document
  std::optional<TokenId> eod_id;      ///< put behind each document
  bool parse_special_tokens = false;  ///< recognize special tokens that are written in the text
  bool split_by_source = false;       ///< one shard a source, PREFIX-SOURCE
  bool skip_bad_rows = false;         ///< pass over rows that cannot be read; else they are Errors
  bool overwrite = false;
  bool show_progress = true;
  int threads = 0;  ///< of each rank; 0: one for each core
  /// Input that one thread takes at a time, and that a run that was killed does again.
  std::uint64_t part_bytes = 32 << 20;
  /// What makes the tokenizer's files different from others: an unfinished run with another value
  /// is begun anew.
  std::string tokenizer_stamp;
};

struct TokenizedShard {
  std::filesystem::path prefix;
  ShardManifest manifest;
};

struct TokenizeResult {
  std::vector<TokenizedShard> shards;
  std::uint64_t input_bytes = 0;      ///< on the disk
  std::uint64_t parts = 0;            ///< pieces of work
  std::uint64_t parts_done = 0;       ///< of them, done by an earlier run that was killed
  std::uint64_t empty_documents = 0;  ///< without a token, left out
  std::uint64_t bad_rows = 0;         ///< passed over

  ShardCount total() const;
};

/// Writes the ids of all documents as Megatron's indexed dataset, over all ranks and threads. The
/// bytes of the result depend on input, tokenizer and options alone. Finished parts of the work
/// stand in PREFIX.parts until all are there and are joined; a run that was killed goes on with
/// what is missing. Every rank must call it; rank 0 has the result.
TokenizeResult tokenize(const Tokenizer& tokenizer, const TokenizeOptions& options,
                        Communicator& communicator);

}  // namespace tigerbot::data
