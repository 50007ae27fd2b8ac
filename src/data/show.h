#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>

#include "base/json.h"

/// Documents of a finished run with what became of them: `tigerbot data show`.
namespace tigerbot::data {

struct ShowFilter {
  std::string reason{};    ///< reason code or its beginning: "rules" is every reason of that stage
  std::string source{};    ///< name of a source
  std::string language{};  ///< "unknown" is a document without one
  std::string id{};        ///< one document
  bool kept = false;       ///< only documents of the output
  bool dropped = false;    ///< only documents that a stage dropped
  std::uint64_t limit = 10;
  /// A random sample, the same for the same seed; else the first documents.
  std::optional<std::uint64_t> seed{};
};

/// Calls `show` with one object for each document that passes the filter:
///   id, fate ("train", "validation", "dropped", "left_out": the mixture took others), copies,
///   reason, value, threshold, detail, duplicate_of (id, source, file, text), source, file, offset,
///   row, language, scores, edits, metadata, text.
/// Returns how many documents were looked at. An unknown source is an Error with the nearest name.
std::uint64_t show_documents(const std::filesystem::path& output, const ShowFilter& filter,
                             const std::function<void(const Json&)>& show);

/// The object as people read it: where it came from, why it stayed or went, its text (the first
/// `text_bytes` bytes of it).
std::string describe_document(const Json& document, std::size_t text_bytes);

}  // namespace tigerbot::data
