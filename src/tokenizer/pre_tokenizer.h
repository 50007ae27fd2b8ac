#pragma once

#include <deque>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tokenizer/scanner.h"

namespace tigerbot {

/// The parts that a text is split into before the model sees it. Views point into the text or into
/// `storage`.
struct Pieces {
  struct Piece {
    std::string_view text;
    bool at_start;  ///< the piece begins where the whole text begins
  };
  std::vector<Piece> pieces;
  std::deque<std::string> storage;
};

/// One step of splitting (and, for some, rewriting). Immutable and safe to use from many threads.
class PreTokenizerStep {
 public:
  virtual ~PreTokenizerStep() = default;
  /// Appends the parts of one piece to `out.pieces`.
  virtual void split(const Pieces::Piece& piece, Pieces& out) const = 0;
};

/// The `pre_tokenizer` node of tokenizer.json.
class PreTokenizer {
 public:
  /// `where` names the file and the node in errors. Null splits nothing.
  static PreTokenizer from_json(const nlohmann::json& node, const std::string& where);

  /// The parts of `text` (valid UTF-8), none empty. `at_start`: nothing of the whole text precedes.
  Pieces split(std::string_view text, bool at_start) const;

  /// Set if pieces come out as raw bytes of a byte-level vocabulary instead of characters.
  bool byte_level() const { return byte_level_; }
  /// Set if a scanner gives the same pieces, on text with a space put first if add_prefix_space().
  std::optional<ScannerKind> scanner() const { return scanner_; }
  bool add_prefix_space() const { return add_prefix_space_; }

 private:
  std::vector<std::unique_ptr<PreTokenizerStep>> steps_;
  bool byte_level_ = false;
  bool unmap_ = false;  // a step after ByteLevel saw its alphabet, so pieces are spelled in it
  std::optional<ScannerKind> scanner_;
  bool add_prefix_space_ = false;
};

}  // namespace tigerbot
