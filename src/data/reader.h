#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

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
  std::string format = "";
  std::string text_field = "text";  ///< of JSON lines and Parquet; a dotted path goes deeper
  /// What is one document of a plain text: the "file", a "paragraph" (blank lines between) or a
  /// "line".
  std::string text_unit = "file";
  std::string source = "";    ///< becomes Provenance::source
  bool keep_metadata = true;  ///< false leaves Document::metadata null, which is faster
  std::uint64_t max_document_bytes = 64 << 20;  ///< longer documents (rows, files) are bad input
  double max_compression_ratio = 200;           ///< past it an archive is taken for a bomb
  /// Bytes [begin, end) of a file that can_split(); a row belongs to the range in which it starts,
  /// so adjoining ranges give every row once. Rows are then numbered from the first of the range.
  std::uint64_t begin = 0;
  std::uint64_t end = std::numeric_limits<std::uint64_t>::max();
  /// Told of every bad row and file, which are then passed over; may throw to end the run. Without
  /// it bad input is an Error.
  std::function<void(const BadInput&)> on_bad_input = {};
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

/// Opens a file, plain or compressed with gzip, zstd or bzip2 (told by its first bytes). A file
/// that is missing, binary or damaged is bad input; an Error means that the options are wrong.
///
/// What a reader changed stands in Document::edits: "reader.encoding" (converted to UTF-8; the
/// encoding is metadata "encoding" where metadata is kept), "reader.invalid_utf8" (bytes that no
/// encoding explains became U+FFFD), "reader.json" (a row that was not quite JSON was repaired),
/// "reader.nul" (stray NUL bytes were taken out).
std::unique_ptr<Reader> open_reader(const std::filesystem::path& file,
                                    const ReaderOptions& options);

/// True for a file that open_reader() takes in byte ranges: JSON lines or plain text by lines, not
/// compressed, UTF-8.
bool can_split(const std::filesystem::path& file, const ReaderOptions& options);

/// The files that `patterns` name, each once, in the order of their names within a pattern: a file
/// is itself, a folder all files under it (names that begin with a dot left out; of an output of
/// `data build` its shards to train on), anything else a glob (*, ?, [a-z], {a,b}). Relative
/// patterns start at `folder`; "~/" is the home folder. A pattern that finds nothing is an Error.
std::vector<std::filesystem::path> find_inputs(const std::vector<std::string>& patterns,
                                               const std::filesystem::path& folder = {});

}  // namespace tigerbot::data
