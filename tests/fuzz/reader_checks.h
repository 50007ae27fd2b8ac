#pragma once

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/utf8.h"
#include "data/readers/context.h"
#include "data/readers/decompression.h"
#include "data/readers/input_buffer.h"

// What every reader promises, for the fuzz targets of readers.
namespace tigerbot::data {

/// Bytes in memory, a few at a time: a reader must give the same whatever pieces its input comes
/// in.
class PiecewiseSource : public ByteSource {
 public:
  PiecewiseSource(std::string_view bytes, std::size_t piece) : bytes_(bytes), piece_(piece) {}

  std::size_t read(char* to, std::size_t size) override {
    const auto part = bytes_.substr(at_, std::min(size, piece_));
    std::copy(part.begin(), part.end(), to);
    at_ += part.size();
    return part.size();
  }
  std::uint64_t consumed() const override { return at_; }

 private:
  std::string_view bytes_;
  std::size_t piece_, at_ = 0;
};

struct Found {
  std::vector<std::string> documents;  ///< text, metadata and place of each
  std::vector<std::string> bad;
  bool operator==(const Found&) const = default;
};

using MakeReader = std::unique_ptr<Reader> (*)(ReaderContext, std::unique_ptr<InputBuffer>);

inline Found read_in_pieces(MakeReader make, std::string_view bytes, std::size_t piece) {
  Found found;
  ReaderOptions options;
  options.max_document_bytes = 20000;
  options.on_bad_input = [&](const BadInput& bad) {
    if (!is_valid_utf8(bad.what)) std::abort();
    found.bad.push_back(std::to_string(bad.row) + " " + std::to_string(bad.offset) + " " +
                        bad.what);
  };
  const auto reader =
      make(ReaderContext("fuzz", options),
           std::make_unique<InputBuffer>(std::make_unique<PiecewiseSource>(bytes, piece)));
  std::uint64_t offset = 0, rows = 0;
  while (const auto document = reader->next()) {
    if (!is_valid_utf8(document->text) || document->text.find('\0') != std::string::npos)
      std::abort();
    if (document->origin.offset < offset || document->origin.offset > bytes.size()) std::abort();
    if (!found.documents.empty() && document->origin.row < rows) std::abort();
    offset = document->origin.offset;
    rows = document->origin.row;
    found.documents.push_back(document->text + document->metadata.dump() +
                              std::to_string(document->origin.offset));
  }
  return found;
}

/// Reads `bytes` whole and in pieces of 7 bytes, and aborts if anything differs or no promise is
/// kept.
inline void check_reader(MakeReader make, std::string_view bytes) {
  if (read_in_pieces(make, bytes, bytes.size() + 1) != read_in_pieces(make, bytes, 7)) std::abort();
}

}  // namespace tigerbot::data
