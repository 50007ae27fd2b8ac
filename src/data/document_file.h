#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/files.h"
#include "data/document.h"

/// Documents on the disk between two phases of a run: everything of a Document, in order, in blocks
/// of about 64 KiB that zstd (level 1) compresses one by one, with an index of the blocks at the
/// end. Small blocks make reading one document cheap (some 0.1 ms), which deciding about duplicates
/// needs. The layout is private to a run's work folder:
///
///   magic (8 bytes), the blocks' zstd frames,
///   index: for each block its offset, packed size, raw size, first document (u64, u32, u32, u64),
///   footer: blocks (u64), documents (u64), hash of the index (u64), magic (8 bytes).
///
/// In a block each document is its length (u32), then its text with a length before it, then the
/// rest.
namespace tigerbot::data {

/// Writes a document file; it appears whole at commit() or not at all.
class DocumentFileWriter {
 public:
  explicit DocumentFileWriter(const std::filesystem::path& path);
  ~DocumentFileWriter();

  void append(const Document& document);
  /// Documents so far.
  std::uint64_t size() const { return size_; }
  void commit();

 private:
  struct Compressor;
  void flush_block();

  AtomicFile file_;
  std::unique_ptr<Compressor> compressor_;
  std::string block_, index_;
  std::uint64_t size_ = 0, first_of_block_ = 0, blocks_ = 0;
};

/// The documents of one block, decompressed: for readers that keep blocks.
struct DocumentBlock {
  std::uint64_t first = 0;  ///< number of its first document in the file
  std::string bytes;
  std::vector<std::uint32_t> starts;  ///< where each document's record begins in `bytes`

  /// The text of document `index` (its number in the file).
  std::string_view text(std::uint64_t index) const;
};

/// A document file that is read: in order with next(), or any document by its number. read() and
/// load_block() may be called from many threads at once; next() from one. A file that is truncated
/// or changed is an Error, when it is opened or when the block is read.
class DocumentFile {
 public:
  explicit DocumentFile(std::filesystem::path path);
  ~DocumentFile();
  DocumentFile(const DocumentFile&) = delete;
  DocumentFile& operator=(const DocumentFile&) = delete;

  std::uint64_t size() const { return size_; }
  Document read(std::uint64_t index) const;
  /// The document after the last that next() gave; nothing at the end.
  std::optional<Document> next();

  /// Number of the block that holds document `index`.
  std::size_t block_of(std::uint64_t index) const;
  DocumentBlock load_block(std::size_t block) const;

 private:
  struct BlockEntry {
    std::uint64_t offset, first;
    std::uint32_t packed, raw;
  };
  std::shared_ptr<const DocumentBlock> block(std::size_t number) const;
  Document decode(const DocumentBlock& block, std::uint64_t index) const;
  [[noreturn]] void fail_damaged(std::string_view what) const;
  void read_at(std::uint64_t offset, char* to, std::size_t length) const;

  std::filesystem::path path_;
  int descriptor_ = -1;
  std::uint64_t size_ = 0, position_ = 0;
  std::vector<BlockEntry> blocks_;
  mutable std::mutex mutex_;
  mutable std::size_t last_number_ = 0;
  mutable std::shared_ptr<const DocumentBlock> last_;
};

}  // namespace tigerbot::data
