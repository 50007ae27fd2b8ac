#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "data/document.h"

namespace tigerbot::data {

/// One part of an input that could not be read; counted and named in the report.
struct BadInput {
  std::string file;
  std::uint64_t row = 0;     ///< number within the file, from 0
  std::uint64_t offset = 0;  ///< in the decompressed file
  std::string what;          ///< one line: `"text" is missing`
};

struct ReaderOptions {
  /// "jsonl", "text", "html", "parquet", "warc", "wet", "pdf", "wikipedia"; "" tells by the name
  /// and the first bytes.
  std::string format;
  std::string text_field = "text";  ///< of JSON lines and Parquet; a dotted path goes deeper
  std::string source;               ///< becomes Provenance::source
  std::uint64_t max_document_bytes = 64 << 20;        ///< longer documents are bad input
  double max_compression_ratio = 200;                 ///< past it an archive is taken for a bomb
  std::function<void(const BadInput&)> on_bad_input;  ///< may throw to end the run
};

/// The documents of one file, in order. Not safe for several threads.
class Reader {
 public:
  virtual ~Reader() = default;
  /// The next document; nothing at the end. Bad rows go to on_bad_input and are passed over; a file
  /// that breaks off in the middle gives what came before and one BadInput.
  virtual std::optional<Document> next() = 0;
  /// Bytes of the file on the disk that have been consumed, for progress bars.
  virtual std::uint64_t consumed() const = 0;
};

/// Opens a file, plain or compressed with gzip, zstd or bzip2 (told by its first bytes).
std::unique_ptr<Reader> open_reader(const std::filesystem::path& file,
                                    const ReaderOptions& options);

}  // namespace tigerbot::data
