#pragma once

#include <cstdint>
#include <list>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <unordered_map>
#include <utility>

#include "data/dedup/numbering.h"
#include "data/document_file.h"

namespace tigerbot::data {

/// Texts of documents in any order: blocks of the document files, decompressed, are kept up to a
/// number of bytes, those used last. Safe for many threads.
class TextCache {
 public:
  TextCache(std::span<const DedupUnit> units, const DocumentNumbering& numbering,
            std::uint64_t bytes)
      : units_(units), numbering_(numbering), limit_(bytes) {}

  /// The letters (folded_text.h) of a document, in `letters`.
  void letters(std::uint64_t number, std::u16string& letters);

 private:
  using Key = std::uint64_t;  // unit and block
  struct Kept {
    Key key;
    std::shared_ptr<const DocumentBlock> block;
  };
  std::shared_ptr<const DocumentFile> file(std::size_t unit);
  std::shared_ptr<const DocumentBlock> block(std::size_t unit, std::uint64_t document);

  std::span<const DedupUnit> units_;
  const DocumentNumbering& numbering_;
  std::uint64_t limit_, held_ = 0;
  std::mutex mutex_;
  std::list<Kept> blocks_;  // newest first
  std::unordered_map<Key, std::list<Kept>::iterator> where_;
  std::list<std::pair<std::size_t, std::shared_ptr<const DocumentFile>>> files_;  // newest first
};

}  // namespace tigerbot::data
