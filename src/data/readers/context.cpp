#include "data/readers/context.h"

#include <fmt/format.h>

#include "base/error.h"
#include "base/text.h"
#include "data/readers/encoding.h"

namespace tigerbot::data {

void ReaderContext::report(std::uint64_t row, std::uint64_t offset, std::string_view what) const {
  if (!options_.on_bad_input) fail("{}: row {} at byte {}: {}", file_, row, offset, what);
  options_.on_bad_input({file_, row, offset, std::string(what)});
}

std::string too_long(std::uint64_t max_document_bytes) {
  return fmt::format("longer than max_document_bytes ({})", format_bytes(max_document_bytes));
}

void set_metadata(Document& document, const std::string& key, Json value) {
  if (document.metadata.is_null()) document.metadata = Json::object();
  document.metadata[key] = std::move(value);
}

bool set_text(Document& document, std::string_view bytes, const ReaderOptions& options,
              std::string_view declared) {
  auto text = convert_to_utf8(bytes, declared);
  if (!text) return false;
  document.text = std::move(text->text);
  if (text->encoding != "UTF-8") {
    document.edits.emplace_back("reader.encoding");
    if (options.keep_metadata) set_metadata(document, "encoding", text->encoding);
  }
  if (text->replaced) document.edits.emplace_back("reader.invalid_utf8");
  remove_nuls(document);
  return true;
}

void remove_nuls(Document& document) {
  if (std::erase(document.text, '\0') > 0) document.edits.emplace_back("reader.nul");
}

}  // namespace tigerbot::data
