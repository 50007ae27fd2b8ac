#pragma once

#include <memory>
#include <string_view>

#include "data/readers/context.h"
#include "data/readers/input_buffer.h"

namespace tigerbot::data {

/// One HTML page a file.
std::unique_ptr<Reader> html_reader(ReaderContext context, std::unique_ptr<InputBuffer> input);

/// Fills a document with the main content of a page of any encoding, and its metadata with title,
/// url, date and lang, as far as the page names them; false if the bytes are no text. `charset` is
/// what a header said of the encoding, if anything.
bool set_html(Document& document, std::string_view bytes, const ReaderOptions& options,
              std::string_view charset = "");

}  // namespace tigerbot::data
