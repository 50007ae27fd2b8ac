#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

#include "data/reader.h"

namespace tigerbot::data {

/// What every reader of a file knows: its name, its options, and whom to tell of bad input.
class ReaderContext {
 public:
  ReaderContext(const std::filesystem::path& file, ReaderOptions options)
      : file_(file.string()), options_(std::move(options)) {}

  const std::string& file() const { return file_; }
  const ReaderOptions& options() const { return options_; }

  /// Calls on_bad_input, or throws an Error where there is none.
  void report(std::uint64_t row, std::uint64_t offset, std::string_view what) const;

  Document document(std::uint64_t row, std::uint64_t offset) const {
    Document out;
    out.origin = {options_.source, file_, offset, row};
    return out;
  }

 private:
  std::string file_;
  ReaderOptions options_;
};

/// "longer than max_document_bytes (64.0 MiB)".
std::string too_long(std::uint64_t max_document_bytes);

/// Writes into an object of metadata, which may be null still.
void set_metadata(Document& document, const std::string& key, Json value);

/// Puts bytes into the document as UTF-8 text without NULs, and says in `edits` (and metadata
/// "encoding") what had to be changed; false if they are no text. `declared` is the encoding that
/// the input itself names, if any.
bool set_text(Document& document, std::string_view bytes, const ReaderOptions& options,
              std::string_view declared = "");

/// Takes NULs out of the text, which then has the edit "reader.nul".
void remove_nuls(Document& document);

}  // namespace tigerbot::data
