#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "data/document.h"

/// The form in which documents leave: one JSON object a line.
namespace tigerbot::data {

/// Names a document by where it came from.
std::uint64_t document_key(const Provenance& origin);
/// The same as 16 hexadecimal digits.
std::string document_id(const Provenance& origin);

/// Decides validation, sampling and the shuffle: equal texts have equal hashes.
std::uint64_t text_hash(std::string_view text);

/// What is the same in all rows of a source, already as JSON.
struct RowContext {
  RowContext(const std::string& kind, const std::string& licence,
             const std::vector<std::string>& stages);
  std::string tail;  ///< `"kind":"web","licence":"...","stages":["normalize","rules"]`
};

/// Appends one line:
///   {"text": ..., "id": ..., "source": ..., "language": ..., "metadata": {...}, "scores": {...},
///   "edits": [...],
///    "provenance": {"file": ..., "offset": 0, "row": 0, "kind": ..., "licence":
///    ..., "stages": [...], "copy": 1}}
/// Parts that are empty are left out; "copy" numbers the copies of up-sampling from 1 after the
/// first.
void append_row(const Document& document, const RowContext& context, std::uint32_t copy,
                std::string& line);

/// Appends `text` as a JSON string, quotes included.
void append_json_string(std::string_view text, std::string& out);

}  // namespace tigerbot::data
