#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"

namespace tigerbot::data {

/// Where a document came from: enough to find it again.
struct Provenance {
  std::string source;        ///< name of the recipe's source: "zh-manuals"
  std::string file;          ///< path as the reader opened it; members of archives after a colon
  std::uint64_t offset = 0;  ///< byte offset of the document in the decompressed file
  std::uint64_t row = 0;     ///< its number within the file, from 0
};

/// One text on its way through the stages.
struct Document {
  std::string text;  ///< valid UTF-8 once a reader has handed it over
  Provenance origin;
  Json metadata;         ///< an object: the other fields of the row, title, url, date; or null
  std::string language;  ///< "en", "zh", "zh-Hant", "ja", "ko", ISO 639-1 otherwise; "" unknown
  std::map<std::string, double, std::less<>> scores;  ///< by stage: "language", "quality", "harm"
  std::vector<std::string> edits;  ///< reason codes of the stages that changed the text
};

}  // namespace tigerbot::data
