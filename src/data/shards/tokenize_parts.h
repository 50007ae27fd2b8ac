#pragma once

#include <cstdint>
#include <filesystem>
#include <limits>
#include <string>
#include <vector>

#include "data/shards/tokenize.h"

namespace tigerbot::data {

/// A file, or bytes [begin, end) of one.
struct InputPiece {
  std::filesystem::path file;
  std::uint64_t begin = 0;
  std::uint64_t end = std::numeric_limits<std::uint64_t>::max();
  std::uint64_t bytes = 0;  ///< on the disk
};

/// The input cut into parts, by sizes alone: never by ranks or threads.
struct TokenizePlan {
  std::vector<std::vector<InputPiece>> parts;
  std::uint64_t input_bytes = 0;
  std::string key;  ///< changes when anything does that the parts depend on
};

/// Large files that can be split in pieces of part_bytes, small ones together up to that.
TokenizePlan plan_tokenizing(const Tokenizer& tokenizer, const TokenizeOptions& options);

}  // namespace tigerbot::data
