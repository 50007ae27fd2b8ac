#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "tokenizer/tokenizer.h"

namespace tigerbot {

/// Pieces by id and ids by piece.
class Vocabulary {
 public:
  Vocabulary() = default;
  /// Index is the id; empty where an id has no piece. Of equal pieces the last has the id.
  explicit Vocabulary(std::vector<std::string> pieces);

  std::int64_t size() const { return static_cast<std::int64_t>(pieces_.size()); }
  std::optional<TokenId> id(std::string_view piece) const;
  /// The piece of an id, which must be below size().
  const std::string& piece(TokenId id) const { return pieces_[static_cast<std::size_t>(id)]; }

 private:
  struct Hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const {
      return std::hash<std::string_view>()(text);
    }
  };
  std::vector<std::string> pieces_;
  std::unordered_map<std::string, TokenId, Hash, std::equal_to<>> ids_;
};

/// The pieces of a tokenizer.json vocabulary, an object of pieces and ids. Two pieces with one id,
/// and ids beyond any real vocabulary, are errors.
std::vector<std::string> read_json_vocabulary(const nlohmann::json& vocabulary,
                                              const std::string& where);

/// The ids of the 256 byte pieces ("<0xE4>"); nothing if the vocabulary has none of them, an error
/// if it has only some.
std::optional<std::vector<TokenId>> byte_piece_ids(const Vocabulary& vocabulary,
                                                   const std::string& where);

}  // namespace tigerbot
